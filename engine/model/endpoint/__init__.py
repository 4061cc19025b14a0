"""A model at a server that speaks OpenAI's API, as :class:`engine.model.base.LanguageModel`."""
