// Tool calls for models whose chat template knows none: the functions are described in the system message, and a call
// is written as {"name": ..., "arguments": {...}}. Pure text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/ports/generation.h"
#include "inference/schema/grammar.h"

namespace allod::inference::engine::chat {

// The messages with the functions described in the first, earlier calls as the model would write them, and their
// results as messages of the user.
std::vector<ports::ChatMessage> DescribeTools(const ports::ChatPrompt& chat);

// The rule for one call of one of them. `arguments`: the rules for each tool's arguments. `after_text`: the call need
// not be the whole answer, so that its beginning, as kPlainCallPattern finds it, was written freely.
schema::RuleId AddPlainCall(const std::vector<ports::Tool>& tools, const std::vector<schema::RuleId>& arguments,
                            bool after_text, schema::Grammar& grammar);

// Where in the answer a call begins (ECMAScript), for an answer that need not be one. White space is counted, because
// std::regex recurses for each character and an answer may be nothing else.
inline constexpr const char* kPlainCallPattern = R"(^\s{0,64}(\{\s{0,64}"name"[\s\S]*))";

// What an answer is so far: a call, as far as it is known, or nothing of one.
struct PlainCall {
  bool may_be_one = true;           // else it is text
  std::optional<std::string> name;  // once it is whole
  std::string arguments;            // as far as they were written
};
PlainCall ReadPlainCall(std::string_view answer);

}  // namespace allod::inference::engine::chat
