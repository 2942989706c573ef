// Text that people typed, in HTML and XML. Pure.
#pragma once

#include <string>
#include <string_view>

namespace allod {

// & < > " ' escaped: for text and for attributes in either kind of quotes.
std::string InMarkup(std::string_view text);

}  // namespace allod
