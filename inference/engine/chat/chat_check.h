// Checks of a chat before its template runs, and of a template before it is parsed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "inference/engine/text/control_text.h"
#include "inference/ports/generation.h"
#include "services/common/result.h"

namespace allod::inference::engine::chat {

// What a template's interpreter is given.
struct ChatSize {
  std::size_t bytes = 0;
  std::size_t values = 0;  // about: of messages, calls and their arguments, as JSON
};

// The size of everything in it. INVALID_ARGUMENT / INVALID_MESSAGE for no messages, an unknown role, tool calls or
// their answers where they cannot be, more than 8 MiB or 32,768 values; INVALID_TOOL for a name that is none, too many,
// or parameters that are no schema.
Result<ChatSize> CheckChat(const ports::ChatPrompt& chat, const text::ControlText& control_text);

// Why a chat template is not given to the interpreter: it is larger than 256 KiB, or may be nested too deep for the
// parser, which has no limit. Empty when it is.
std::string WhyNotParsed(std::string_view chat_template);

}  // namespace allod::inference::engine::chat
