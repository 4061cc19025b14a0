"""Chat templates in the shape of each family's, short and written for these tests."""

from __future__ import annotations

_CHATML_END = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

_TOOLS_SYSTEM = (
    "{% if tools %}<|im_start|>system\n{% if messages[0].role == 'system' %}{{ messages[0].content }}\n\n{% endif %}"
    "# Tools\n<tools>{% for tool in tools %}\n{{ tool | tojson }}{% endfor %}\n</tools>\n"
    "CALLS<|im_end|>\n"
    "{% elif messages[0].role == 'system' %}<|im_start|>system\n{{ messages[0].content }}<|im_end|>\n{% endif %}"
)

_JSON_CALLS = 'A call is <tool_call>\n{"name": ..., "arguments": ...}\n</tool_call>'
_XML_CALLS = "A call is <tool_call>\n<function=name>\n<parameter=key>\nvalue\n</parameter>\n</function>\n</tool_call>"

_TOOL_ROLE = (
    "{% elif m.role == 'tool' %}<|im_start|>user\n<tool_response>\n{{ m.content }}\n</tool_response><|im_end|>\n"
)

_TURNS = "{% for m in messages %}{% if m.role == 'system' %}" + _TOOL_ROLE

QWEN = (
    _TOOLS_SYSTEM.replace("CALLS", _JSON_CALLS)
    + _TURNS
    + "{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
    + _CHATML_END
)
"""Passes what an assistant said through as it is."""

_DROP = (
    "{% elif m.role == 'assistant' %}{% set said = m.content %}"
    "{% if '</think>' in said %}{% set said = said.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "<|im_start|>assistant\n{{ said }}<|im_end|>\n"
    "{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
)

THINKS = _TOOLS_SYSTEM.replace("CALLS", _JSON_CALLS) + _TURNS + _DROP + _CHATML_END
"""Drops the thoughts of all earlier turns."""

THINKS_FIRST = THINKS.replace(_CHATML_END, "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}")
"""Begins the thought for the model."""

KEEPS = QWEN + "{# thoughts stand in <think> and </think> #}"

CODER = (
    _TOOLS_SYSTEM.replace("CALLS", _XML_CALLS)
    + _TURNS
    + "{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
    + _CHATML_END
)

GRANITE = (
    "{% for m in messages %}<|start_of_role|>{{ m.role }}<|end_of_role|>{{ m.content }}<|end_of_text|>\n{% endfor %}"
    "{% if tools %}<|start_of_role|>tools<|end_of_role|>{{ tools | tojson }}\nCalls begin with <|tool_call|>\n{% endif %}"
    "<|start_of_role|>assistant<|end_of_role|>"
)

OSS = (
    "{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>final{% endif %}<|message|>"
    "{{ m.content }}<|end|>{% endfor %}<|start|>assistant"
)

DEEPSEEK = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}"
    "{% elif m.role == 'user' %}<｜User｜>{{ m.content }}"
    "{% elif m.role == 'assistant' %}<｜Assistant｜></think>{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
    "{# calls: <｜DSML｜function_calls> #}<｜Assistant｜><think>"
)

DEEPSEEK_OLD = DEEPSEEK.replace("<｜DSML｜function_calls>", "<｜tool▁calls▁begin｜>")

MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]"
    "{% elif m.tool_calls %}[TOOL_CALLS]{{ m.tool_calls | tojson }}{{ eos_token }}"
    "{% elif m.role == 'tool' %}{% if m.tool_call_id | length != 9 %}{{ raise_exception('ids have 9 characters') }}"
    "{% endif %}[TOOL_RESULTS]{{ m.content }}[/TOOL_RESULTS]"
    "{% else %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)

MISTRAL_NAMED = "{# [SYSTEM_PROMPT] [ARGS] [THINK] #}" + MISTRAL

LLAMA = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'tool' %}<|start_header_id|>ipython<|end_header_id|>\n\n"
    "{{ m.content | tojson }}<|eot_id|>{% else %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{% if loop.first and tools %}{% for tool in tools %}{{ tool | tojson(indent=4) }}\n\n{% endfor %}{% endif %}"
    "{{ m.content }}<|eot_id|>{% endif %}{% endfor %}<|start_header_id|>assistant<|end_header_id|>\n\n"
)

GEMMA = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role not in ['user', 'assistant'] %}{{ raise_exception('no such role') }}{% endif %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
    "{% endfor %}<start_of_turn>model\n"
)

PLAIN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" + _CHATML_END

ALL = {
    "qwen": (QWEN, "qwen2", "tool_call"),
    "thinks": (THINKS, "qwen3", "tool_call"),
    "thinks first": (THINKS_FIRST, "qwen3", "tool_call"),
    "keeps": (KEEPS, "qwen3", "tool_call"),
    "granite": (GRANITE, "granite", "tool_call"),
    "coder": (CODER, "qwen3moe", "xml"),
    "oss": (OSS, "gpt-oss", "harmony"),
    "deepseek": (DEEPSEEK, "deepseek2", "dsml"),
    "deepseek old": (DEEPSEEK_OLD, "qwen2", "dsml"),
    "mistral": (MISTRAL, "llama", "mistral"),
    "mistral named": (MISTRAL_NAMED, "llama", "mistral"),
    "llama": (LLAMA, "llama", "llama3"),
    "gemma": (GEMMA, "gemma3", "gemma"),
}
"""Template, architecture and the format that fits, by a name for the test."""
