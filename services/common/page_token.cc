#include "services/common/page_token.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <boost/crc.hpp>
#include <cstdint>

namespace allod {
namespace {

constexpr std::size_t kCrcBytes = 4;
constexpr std::size_t kAfterBytesMax = 256;
constexpr std::size_t kTokenCharsMax = 400;
constexpr int kVariant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

// Not a secret: it only catches tokens that were cut, made up or taken from another list.
std::string Checksum(std::string_view scope, std::string_view after) {
  boost::crc_32_type crc;
  crc.process_bytes(scope.data(), scope.size());
  crc.process_byte(0);
  crc.process_bytes(after.data(), after.size());
  const std::uint32_t sum = crc.checksum();
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(sum >> shift));
  return out;
}

std::unexpected<Error> BadToken() {
  return InvalidArgument(
      "INVALID_PAGE_TOKEN",
      "page_token was not given out by this list; pass next_page_token of the previous page unchanged");
}

}  // namespace

std::string EncodePageToken(std::string_view scope, std::string_view after) {
  after = after.substr(0, kAfterBytesMax);
  const std::string raw = Checksum(scope, after) + std::string(after);
  std::string out(sodium_base64_encoded_len(raw.size(), kVariant), '\0');
  sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(raw.data()), raw.size(), kVariant);
  out.pop_back();  // sodium's final NUL
  return out;
}

Result<PageRequest> ParsePage(std::string scope, int page_size, std::string_view page_token, int size_max) {
  if (page_size < 0) {
    return InvalidArgument("INVALID_PAGE_SIZE",
                           fmt::format("page_size is {}; use 0 for the default or 1 to {}", page_size, size_max));
  }
  PageRequest page{std::move(scope), std::min(page_size == 0 ? kPageSizeDefault : page_size, size_max), ""};
  if (page_token.empty()) return page;
  if (page_token.size() > kTokenCharsMax) return BadToken();
  std::array<unsigned char, kTokenCharsMax> raw;
  std::size_t raw_size = 0;
  if (sodium_base642bin(raw.data(), raw.size(), page_token.data(), page_token.size(), nullptr, &raw_size, nullptr,
                        kVariant) != 0 ||
      raw_size <= kCrcBytes) {
    return BadToken();
  }
  const std::string text(raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(raw_size));
  page.after = text.substr(kCrcBytes);
  if (text.substr(0, kCrcBytes) != Checksum(page.scope, page.after)) return BadToken();
  return page;
}

}  // namespace allod
