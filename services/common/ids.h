// Identifiers: UUIDs (RFC 9562), and resource names with their checked segments (AIP-122).
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/result.h"

namespace allod {

class Uuid {
 public:
  Uuid() = default;  // nil
  // The canonical 36-character form, any case. INVALID_ARGUMENT / INVALID_UUID.
  static Result<Uuid> Parse(std::string_view text);
  // Version 7 at `now`: sorts by time to a quarter of a microsecond (RFC 9562, section 6.2, method 3); the rest comes
  // from the operating system's random source. Thread-safe.
  static Uuid V7(std::chrono::system_clock::time_point now);
  // Version 7 at the wall clock.
  static Uuid V7();
  // Version 5 in the platform's namespace: the id of a thing whose name is never reused, computed without a look-up.
  static Uuid FromName(std::string_view resource_name);

  std::string ToString() const;
  bool is_nil() const { return *this == Uuid(); }
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  static Uuid FromBytes(const std::array<std::uint8_t, 16>& bytes);

  auto operator<=>(const Uuid&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

// A tenant's key in every table: the UUIDv5 of `tenants/{tenant}`. Its own type, so that no other id passes for it.
struct TenantId {
  Uuid value;
  // From `tenants/ke` or any name below it, e.g. `tenants/ke/projects/p`. INVALID_ARGUMENT / INVALID_NAME.
  static Result<TenantId> FromName(std::string_view resource_name);
  std::string ToString() const { return value.ToString(); }
  auto operator<=>(const TenantId&) const = default;
};

// Matches `name` against a pattern such as "tenants/*/projects/*" and returns what stood for each `*`. Every segment
// must be a valid resource id: 1 to 63 characters of [a-z0-9._-], first and last a letter or digit (so a segment is
// never a path traversal). INVALID_ARGUMENT / INVALID_NAME names the field and shows the pattern.
Result<std::vector<std::string>> MatchName(std::string_view field, std::string_view name, std::string_view pattern);

// The same rule for a single id chosen by a user. INVALID_ARGUMENT / INVALID_ID.
Status CheckId(std::string_view field, std::string_view id);

// `tenants/{tenant}` of a name below a tenant; empty if there is none.
std::string TenantOf(std::string_view resource_name);
// `{project}` of a name below a project of a tenant; empty if it is below none.
std::string ProjectIdOf(std::string_view resource_name);

// 64 lower-case hex digits, else INVALID_ARGUMENT / INVALID_DIGEST. Paths are only ever built from a checked digest.
Status CheckSha256(std::string_view field, std::string_view digest);

}  // namespace allod
