"""Makes a model from event files: ``tidemark train``. Needs the ``train`` extra (torch); what serves does not."""
