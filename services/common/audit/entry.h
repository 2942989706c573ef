// What the audit log keeps of one act: who did what to which thing, when, and how it ended. Pure.
//
// A detail that tells of a person (a name that somebody typed) is kept as a commitment to it: HMAC-SHA-256 under a salt
// of 32 random bytes. Entry and hash chain hold the commitment only; value and salt lie beside and may be deleted.
// Then nobody can tell what the value was, not even by trying all names, and the chain is still whole.
//
// Prompts, answers and secrets are no details, personal or not.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/common/actor.h"
#include "services/common/clock.h"
#include "services/common/digest.h"
#include "services/common/result.h"

namespace allod::audit {

using Salt = std::array<std::uint8_t, 32>;

struct Detail {
  std::string name;                       // lower_snake_case
  std::string value;                      // empty once it is erased
  std::optional<Digest256> commitment{};  // of a personal one
  std::optional<Salt> salt{};             // of a personal one that is not erased

  bool erased() const { return commitment && !salt; }
  bool operator==(const Detail&) const = default;
};

// A detail of a person, under a new salt.
Detail Personal(std::string name, std::string value);
// Of a personal value of the detail of that name.
Digest256 Commit(const Salt& salt, std::string_view name, std::string_view value);

enum class Outcome { kDone, kRefused };

struct Entry {
  std::int64_t sequence = 0;  // 1, 2, ... in the chain
  Time time;                  // never before that of the entry before; whole microseconds
  Actor actor;
  std::string action;    // the permission that it takes, "tenancy.apiKeys.create"
  std::string resource;  // the full name of the thing
  Outcome outcome = Outcome::kDone;
  std::string reason;    // of a refusal, UPPER_SNAKE
  std::string trace_id;  // of the call, 32 hex digits; empty where none was
  std::vector<Detail> details;
  Digest256 hash{};  // of the chain up to and with this entry (chain.h)

  bool operator==(const Entry&) const = default;
};

inline constexpr std::size_t kDetailsMax = 16;
inline constexpr std::size_t kNameBytesMax = 64;    // of a detail
inline constexpr std::size_t kTextBytesMax = 1024;  // of every other text

// INTERNAL / INTERNAL for what the log does not take, naming it: it is bounded, and readers may rely on it.
Status CheckEntry(const Entry& entry);

}  // namespace allod::audit
