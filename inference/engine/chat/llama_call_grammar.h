// The grammar of tool calls in the notation of a model's own template, with arguments that follow the tools' schemas.
//
// llama.cpp knows how a template writes calls, and makes a grammar and a parser of it. Its grammar cannot be taken as
// it is: it drops what of a schema it cannot express, and where a call is required it lets text without end come before
// it. So the template is asked with a stand-in for each tool's arguments, and of the grammar that comes out the rules
// of calls are taken alone, with our rules (inference/schema) where the stand-ins are.
#pragma once

#include <chat.h>

#include <optional>
#include <string>
#include <vector>

#include "inference/ports/generation.h"
#include "inference/schema/grammar.h"

namespace allod::inference::engine::chat {

struct CallNotation {
  common_chat_params params;  // stops, triggers, the parser
  std::string gbnf;           // begins with a call
};

// Throws what the template throws. None when its calls cannot be told from text or do not have the arguments as one
// JSON value; then calls are made as plain_tool_calls.h says. `arguments` are rules of `grammar`, one for each tool.
std::optional<CallNotation> NotationOf(const common_chat_templates& templates, const ports::ChatPrompt& chat,
                                       const std::vector<schema::RuleId>& arguments, schema::Grammar grammar);

}  // namespace allod::inference::engine::chat
