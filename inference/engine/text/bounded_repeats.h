// Regular expressions that std::regex can be trusted with: it goes one call deeper for each character that a repetition
// takes, so that one without a bound overflows any stack for some text. Pure.
#pragma once

#include <string>
#include <string_view>

namespace allod::inference::engine::text {

// `pattern` (ECMAScript) with at most `most` times where it says any number: `*`, `+` and `{n,}`, the last at least n.
// A text in which more follow one another does not match. Anything else is left as it is, what is no pattern too.
std::string WithBoundedRepeats(std::string_view pattern, unsigned most);

}  // namespace allod::inference::engine::text
