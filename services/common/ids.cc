#include "services/common/ids.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "services/common/digest.h"

namespace allod {
namespace {

constexpr std::size_t kIdCharactersMax = 63;
constexpr std::size_t kShownCharactersMax = 80;

// UUIDv5 namespace of the platform. Every tenant's key in every table comes from it: it never changes.
constexpr std::array<std::uint8_t, 16> kNamespace = {0x5e, 0x1b, 0x0c, 0x6d, 0x9a, 0x3f, 0x4d, 0x27,
                                                     0x8c, 0x41, 0xf2, 0x70, 0xb3, 0x9e, 0x18, 0xd5};

bool IsLetterOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool IsId(std::string_view id) {
  if (id.empty() || id.size() > kIdCharactersMax) return false;
  if (!IsLetterOrDigit(id.front()) || !IsLetterOrDigit(id.back())) return false;
  return std::all_of(id.begin(), id.end(),
                     [](char c) { return IsLetterOrDigit(c) || c == '.' || c == '_' || c == '-'; });
}

// User text for a message: bounded and printable.
std::string Shown(std::string_view text) {
  std::string out(text.substr(0, kShownCharactersMax));
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  if (text.size() > kShownCharactersMax) out += "...";
  return out;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Cuts the part before the next '/' off `rest`. Sets `last` when there was none.
std::string_view NextSegment(std::string_view& rest, bool& last) {
  const std::size_t slash = rest.find('/');
  last = slash == std::string_view::npos;
  const std::string_view segment = rest.substr(0, slash);
  rest = last ? std::string_view() : rest.substr(slash + 1);
  return segment;
}

bool Match(std::string_view name, std::string_view pattern, std::vector<std::string>& out) {
  bool name_ends = false;
  bool pattern_ends = false;
  while (!name_ends && !pattern_ends) {
    const std::string_view segment = NextSegment(name, name_ends);
    const std::string_view expected = NextSegment(pattern, pattern_ends);
    if (expected == "*") {
      if (!IsId(segment)) return false;
      out.emplace_back(segment);
    } else if (segment != expected) {
      return false;
    }
  }
  return name_ends && pattern_ends;
}

}  // namespace

Result<Uuid> Uuid::Parse(std::string_view text) {
  const auto bad = [&] {
    return InvalidArgument("INVALID_UUID", fmt::format("\"{}\" is not a UUID; write it as "
                                                       "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx in hexadecimal",
                                                       Shown(text)));
  };
  if (text.size() != 36) return bad();
  Uuid out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      if (text[at++] != '-') return bad();
    }
    const int high = HexValue(text[at++]);
    const int low = HexValue(text[at++]);
    if (high < 0 || low < 0) return bad();
    out.bytes_[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return out;
}

Uuid Uuid::V7(std::chrono::system_clock::time_point now) {
  Uuid out;
  FillRandom(std::span(out.bytes_).subspan(6));
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  auto ms = static_cast<std::uint64_t>(ns / 1'000'000);
  // The part of the millisecond, in 4096ths.
  const auto fraction = static_cast<std::uint64_t>(ns % 1'000'000) * 4096 / 1'000'000;
  for (int i = 5; i >= 0; --i) {
    out.bytes_[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms);
    ms >>= 8;
  }
  out.bytes_[6] = static_cast<std::uint8_t>((fraction >> 8U) | 0x70U);
  out.bytes_[7] = static_cast<std::uint8_t>(fraction);
  out.bytes_[8] = static_cast<std::uint8_t>((out.bytes_[8] & 0x3f) | 0x80);
  return out;
}

Uuid Uuid::V7() { return V7(std::chrono::system_clock::now()); }

Uuid Uuid::FromName(std::string_view resource_name) {
  std::string input(kNamespace.begin(), kNamespace.end());
  input += resource_name;
  const auto digest = Sha1(input);
  Uuid out;
  std::copy_n(digest.begin(), 16, out.bytes_.begin());
  out.bytes_[6] = static_cast<std::uint8_t>((out.bytes_[6] & 0x0f) | 0x50);
  out.bytes_[8] = static_cast<std::uint8_t>((out.bytes_[8] & 0x3f) | 0x80);
  return out;
}

std::string Uuid::ToString() const {
  const std::string hex = ToHex(bytes_);
  std::string out;
  out.reserve(36);
  for (std::size_t i = 0; i < 32; ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) out.push_back('-');
    out.push_back(hex[i]);
  }
  return out;
}

Uuid Uuid::FromBytes(const std::array<std::uint8_t, 16>& bytes) {
  Uuid out;
  out.bytes_ = bytes;
  return out;
}

Result<TenantId> TenantId::FromName(std::string_view resource_name) {
  const std::string tenant = TenantOf(resource_name);
  if (tenant.empty()) {
    return InvalidArgument(
        "INVALID_NAME",
        fmt::format("\"{}\" is not below a tenant; names begin with tenants/{{tenant}}", Shown(resource_name)));
  }
  return TenantId{Uuid::FromName(tenant)};
}

Result<std::vector<std::string>> MatchName(std::string_view field, std::string_view name, std::string_view pattern) {
  std::vector<std::string> out;
  if (!Match(name, pattern, out)) {
    return InvalidArgument(
        "INVALID_NAME",
        fmt::format("{}: \"{}\" does not have the form {}, where each * is 1 to {} characters of a-z, 0-9, '.', '_' "
                    "and '-' that begin and end with a letter or digit",
                    field, Shown(name), pattern, kIdCharactersMax));
  }
  return out;
}

Status CheckId(std::string_view field, std::string_view id) {
  if (IsId(id)) return {};
  return InvalidArgument("INVALID_ID",
                         fmt::format("{}: \"{}\" is not an id; use 1 to {} characters of a-z, 0-9, '.', '_' and '-' "
                                     "that begin and end with a letter or digit",
                                     field, Shown(id), kIdCharactersMax));
}

std::string TenantOf(std::string_view resource_name) {
  constexpr std::string_view kPrefix = "tenants/";
  if (!resource_name.starts_with(kPrefix)) return "";
  const std::string_view id =
      resource_name.substr(kPrefix.size(), resource_name.find('/', kPrefix.size()) - kPrefix.size());
  if (!IsId(id)) return "";
  return std::string(resource_name.substr(0, kPrefix.size() + id.size()));
}

std::string ProjectIdOf(std::string_view resource_name) {
  constexpr std::string_view kProjects = "/projects/";
  std::string_view rest = resource_name.substr(std::min(TenantOf(resource_name).size(), resource_name.size()));
  if (!rest.starts_with(kProjects)) return "";
  rest.remove_prefix(kProjects.size());
  return std::string(rest.substr(0, rest.find('/')));
}

Status CheckSha256(std::string_view field, std::string_view digest) {
  const bool ok = digest.size() == 64 && std::all_of(digest.begin(), digest.end(), [](char c) {
                    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                  });
  if (ok) return {};
  return InvalidArgument("INVALID_DIGEST", fmt::format("{}: \"{}\" is not a SHA-256; write 64 lower-case hexadecimal "
                                                       "digits",
                                                       field, Shown(digest)));
}

}  // namespace allod
