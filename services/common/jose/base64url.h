// base64url without padding (RFC 4648 section 5, RFC 7515 section 2), strictly: one text for each value.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace allod::jose {

// Nothing for a character that does not belong there, padding, blanks, or bits behind the last byte.
std::optional<std::string> DecodeBase64Url(std::string_view text);
std::string EncodeBase64Url(std::string_view bytes);

}  // namespace allod::jose
