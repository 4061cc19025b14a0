"""Model families, by how they were trained to call tools. The names are those of the formats that speak to them."""

from __future__ import annotations

GUIDED = "guided"

FORMATS = (GUIDED, "tool_call", "xml", "harmony", "dsml", "mistral", "llama3", "gemma")
"""Every format there is. ``guided`` works with any model."""

LED_BELOW = 1_000_000_000
"""Models with fewer parameters are led. A 135M model left to itself repeats the prompt's examples as queries."""

_SIGNS = (
    ("harmony", ("<|channel|>", "<|message|>")),
    ("dsml", ("DSML",)),
    ("dsml", ("<｜tool▁calls▁begin｜>",)),
    ("xml", ("<function=", "<parameter=")),
    ("tool_call", ("<tool_call>",)),
    ("tool_call", ("<|tool_call|>",)),
    ("mistral", ("[TOOL_CALLS]",)),
    ("llama3", ("<|start_header_id|>", "ipython")),
)
"""What a family's chat templates have in them, the surest first: later signs also stand in templates of families before."""

_ARCHITECTURES = {"gpt-oss": "harmony", "gemma3": "gemma", "gemma3n": "gemma"}
"""Families told by the architecture alone: their templates need not mention tools."""


def family(template: str, architecture: str, parameters: int, *, wanted: str = "auto") -> str:
    """The format for a model, from its chat template's source, its architecture and its number of parameters.

    A name in ``wanted`` is taken as it is. Very small models are ``guided``, whatever they were trained for.
    """
    if wanted != "auto":
        return wanted
    if 0 < parameters < LED_BELOW:
        return GUIDED
    for name, signs in _SIGNS:
        if all(sign in template for sign in signs):
            return name
    return _ARCHITECTURES.get(architecture, GUIDED)


def spoken(format: str, template: str) -> str:
    """The source of the chat template to render conversations with: the model's own where it fits the format.

    Two families put calls and results outside of what an assistant or user says. Their templates are one fixed form
    each, written here so that the format decides about every mark.
    """
    if format == "harmony":
        return _HARMONY
    if format == "mistral":
        return _MISTRAL_SYSTEM if "[SYSTEM_PROMPT]" in template else _MISTRAL
    return template


_HARMONY = (
    "<|start|>system<|message|>You are a large language model.\n\nReasoning: medium\n\n"
    "# Valid channels: analysis, commentary, final. Channel must be included for every message."
    "{% if tools %}\nCalls to these tools must go to the commentary channel: 'functions'.{% endif %}<|end|>"
    "{% for message in messages %}"
    "{% if message.role == 'system' %}"
    "<|start|>developer<|message|># Instructions\n\n{{ message.content }}"
    "{% if tools %}\n\n# Tools\n\n## functions\n\nnamespace functions {\n\n"
    "{% for tool in tools %}{% set it = tool.function %}"
    "// {{ it.description }}\ntype {{ it.name }} = (_: {\n"
    "{% for name, field in it.parameters.properties.items() %}"
    "// {{ field.description }}\n{{ name }}{{ '' if name in it.parameters.required else '?' }}: "
    "{% if field.enum %}{% for value in field.enum %}{{ value | tojson }}{{ '' if loop.last else ' | ' }}{% endfor %}"
    "{% else %}{{ 'number' if field.type == 'integer' else field.type }}{% endif %},\n"
    "{% endfor %}}) => any;\n\n{% endfor %}} // namespace functions{% endif %}<|end|>"
    "{% elif message.role == 'user' %}<|start|>user<|message|>{{ message.content }}<|end|>"
    "{% else %}{{ message.content }}{% endif %}"
    "{% endfor %}<|start|>assistant"
)
"""What an assistant or a tool says comes with its marks: there is more than one kind."""

_MISTRAL_TOOLS = "[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]"
"""Before the first question, where it stays: before the last one, it would move all that was read since."""

_MISTRAL_TURNS = (
    "{% elif message.role == 'user' %}[INST]{{ message.content }}[/INST]"
    "{% elif message.role == 'assistant' %}{{ message.content }}{{ eos_token }}"
    "{% else %}{{ message.content }}{% endif %}{% endfor %}"
)

_MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if loop.first and tools %}" + _MISTRAL_TOOLS + "{% endif %}"
    "{% if message.role == 'system' %}[INST]{{ message.content }}\n\n"
    "{% elif message.role == 'user' and loop.previtem and loop.previtem.role == 'system' %}"
    "{{ message.content }}[/INST]" + _MISTRAL_TURNS
)

_MISTRAL_SYSTEM = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'system' %}[SYSTEM_PROMPT]{{ message.content }}[/SYSTEM_PROMPT]"
    "{% if tools %}" + _MISTRAL_TOOLS + "{% endif %}" + _MISTRAL_TURNS
)
