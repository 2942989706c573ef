// What is behind a ToolCallFormat; internal to llama_chat.cc, which makes it, and llama_tool_calls.cc.
#pragma once

#include <chat.h>

#include "inference/engine/chat/llama_tool_calls.h"

namespace allod::inference::engine::chat {

struct ToolCallFormat::Impl {
  bool is_plain = false;             // as plain_tool_calls.h; else:
  common_chat_parser_params parser;  // in the model's own notation
};

}  // namespace allod::inference::engine::chat
