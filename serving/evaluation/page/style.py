"""How the report looks: one style sheet, in light and dark, on a screen and on paper.

Colours are only here; meaning never rests on colour alone. Called by ``serving.evaluation.page.document``.
"""

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --ground: #fbfbfa; --card: #ffffff; --text: #1c2430; --soft: #5a6472; --line: #dde1e6;
  --model: #0b6e4f; --better: #0b6e4f; --worse: #b3261e; --alike: #5a6472; --warn: #8a5a00; --warn-ground: #fff6e0;
  --o0: #c4541c; --o1: #2f6db5; --o2: #8a4fa8; --o3: #8a6a00; --o4: #2b7d89; --o5: #b0356a;
}
@media (prefers-color-scheme: dark) { :root {
  --ground: #12161c; --card: #1a2029; --text: #e7eaee; --soft: #a3adba; --line: #333c48;
  --model: #4fc79b; --better: #4fc79b; --worse: #ff8a80; --alike: #a3adba; --warn: #f0c36a; --warn-ground: #2e2614;
  --o0: #f0915f; --o1: #7fb2ee; --o2: #c79be0; --o3: #d8b64a; --o4: #73c3cf; --o5: #ec84ad;
} }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 2.2rem 1.4rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .4rem; padding-top: .9rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p, li { max-width: 46rem; } .lead { font-size: 1.1rem; } .soft, figcaption, caption { color: var(--soft); }
.warn { background: var(--warn-ground); border-left: 4px solid var(--warn); padding: .6rem .9rem; max-width: none; }
nav a { margin-right: 1rem; } a { color: var(--o1); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .9rem; margin: 1.4rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .9rem 1.1rem; }
.tile b { display: block; font-size: 1.7rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { display: block; font-size: .88rem; } .tile span:last-child { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; width: 100%; }
caption { text-align: left; padding: .3rem 0; font-size: .9rem; }
th, td { padding: .28rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child, td.name { text-align: left; }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
tr.task th { padding-top: 1rem; font-weight: 600; } tr.ours td, tr.ours th { font-weight: 600; }
.better { color: var(--better); } .worse { color: var(--worse); font-weight: 600; } .alike { color: var(--alike); }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); gap: 1.1rem;
  margin-top: .9rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .8rem; }
figure h3 { margin: 0 0 .4rem; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--text); font-size: 13px; } svg text.tick { fill: var(--soft); font-size: 12px; }
svg .grid { stroke: var(--line); } svg .guide { stroke: var(--soft); stroke-width: 1.2; }
svg .model { stroke: var(--model); stroke-width: 2.6; } svg circle.model { fill: var(--model); }
svg .other { stroke-width: 1.5; } svg .band { fill: var(--model); opacity: .16; }
svg .o0 { stroke: var(--o0); } svg .o1 { stroke: var(--o1); } svg .o2 { stroke: var(--o2); }
svg .o3 { stroke: var(--o3); } svg .o4 { stroke: var(--o4); } svg .o5 { stroke: var(--o5); }
svg.forest { width: 11rem; height: 1.1rem; display: inline-block; vertical-align: middle; }
svg.forest .zero { stroke: var(--soft); } svg.forest .better { stroke: var(--better); fill: var(--better); }
svg.forest .worse { stroke: var(--worse); fill: var(--worse); }
svg.forest .alike { stroke: var(--alike); fill: var(--alike); }
details { margin: .8rem 0; } summary { cursor: pointer; color: var(--o1); }
dl { display: grid; grid-template-columns: minmax(9rem, max-content) 1fr; gap: .25rem 1.2rem; margin: .6rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media print {
  :root { font-size: 11px; color-scheme: light; --ground: #fff; --card: #fff; --text: #000; --soft: #444; --line: #bbb;
    --model: #0b6e4f; --better: #0b6e4f; --worse: #b3261e; --alike: #444; --warn-ground: #fff; --o0: #c4541c;
    --o1: #2f6db5; --o2: #8a4fa8; --o3: #8a6a00; --o4: #2b7d89; --o5: #b0356a; }
  main { max-width: none; padding: 0; }
  nav, summary { display: none; } .scroll { overflow: visible; }
  figure, tr, .tile { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .plots { grid-template-columns: 1fr 1fr; } th, td { padding: .15rem .4rem; }
}
"""
