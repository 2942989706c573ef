// What is wrong with a chat template, in words that its author can use.
#pragma once

#include <string>
#include <string_view>

namespace allod::inference::engine::chat {

// Why it does not parse, with line and column; empty when it does. To be called where the interpreter may run: within
// an AllocationBudget, on a deep stack. Throws what these throw.
std::string WhyTemplateDoesNotParse(const std::string& source);

// The message of an exception that the interpreter threw when it ran the template: what went wrong and, where it says,
// the line and column; without the source that it puts around it.
std::string WhatTemplateSaid(std::string_view text);

}  // namespace allod::inference::engine::chat
