// The hash chain of one tenant's audit log in one service: what makes a change, a gap, another order or a shorter log
// show. Pure.
//
//   hash_0 = SHA-256("allod.audit.chain.1" 00 | text service | text tenant)
//   hash_n = SHA-256("allod.audit.entry.1" 00 | hash_(n-1) | Encode(entry_n))
//
// Encode(), version 1, without regard to how rows and messages are made: integers are big-endian, a text is its length
// in bytes as u32 and its bytes.
//
//   u8  1                         the version
//   u64 sequence
//   i64 time                      microseconds since 1970
//   text actor.kind, actor.id, actor.credential, action, resource
//   u8  outcome                   0 done, 1 refused
//   text reason, trace_id
//   u32 number of details; each, in the order of their names:
//     text name
//     u8 0, text value            or, of a personal one:
//     u8 1, 32 bytes              the commitment
//
// A later version begins with another byte, and chains go on through it.
//
// What the chain cannot show by itself: a log that was written anew from some entry on, by whoever may write the
// database as its owner, or cut at its end. A head that was kept elsewhere shows both (ChainVerifier::Expect).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "services/common/audit/entry.h"

namespace allod::audit {

// Where a chain ends.
struct Head {
  std::int64_t sequence = 0;  // of the last entry; 0: there is none
  Digest256 hash{};

  bool operator==(const Head&) const = default;
};

// Of the empty chain. `service` is the area, "tenancy"; `tenant` the name, "tenants/ke".
Head Genesis(std::string_view service, std::string_view tenant);

std::string Encode(const Entry& entry);
Digest256 HashAfter(const Digest256& previous, const Entry& entry);

// The first place at which a chain is broken.
struct Break {
  enum class Kind {
    kGap,        // entries are missing before it
    kReordered,  // it stands behind one with the same or a greater number, or a later time
    kChanged,    // its content, its hash, or the hash of one before is another
    kValue,      // the personal value beside it is not what was committed to
    kRewritten,  // it is not what it was when the head was kept
    kTruncated,  // the chain ends before a head that was kept
  };
  Kind kind;
  std::int64_t sequence = 0;
  std::string words;  // for people
};

// Walks a chain from its beginning, entry by entry, holding none of them.
class ChainVerifier {
 public:
  explicit ChainVerifier(const Head& genesis) : at_(genesis) {}

  // A head that was seen earlier, which the chain must pass through. Before the walk.
  void Expect(const Head& head);
  // The next one. After a break the walk is over.
  std::optional<Break> Add(const Entry& entry);
  // After the last one.
  std::optional<Break> Finish() const;
  const Head& head() const { return at_; }

 private:
  Head at_;
  Time time_{};
  std::multimap<std::int64_t, Digest256> expected_;
};

}  // namespace allod::audit
