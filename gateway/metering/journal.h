// The journal of metered requests: a memory-mapped file of fixed slots that survives kill -9 of this process.
//
// A slot is taken at admission, before money is taken from a lease, and gets the terms of that money before anything
// runs; its counters are bumped by plain stores just before tokens are handed to the client's socket; it is finalised
// with the outcome and freed only after billing acknowledged the settlement. Whatever a dead gateway left is found by
// the next Open(), so no request that got tokens is missing from usage. A slot without whole terms never ran, and is
// free.
//
// One process at a time (flock). Thread-safe; each taken slot belongs to one request. Stores reach the file through the
// page cache: a crash of the machine may lose the newest ones, a crash of the process none. A slot whose immutable part
// does not match its checksum (torn by a crash of the machine) is recognised and dropped. The format is versioned: a
// file of an earlier version is taken over with what waits in it (journal_slot.h, journal_upgrade.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "gateway/metering/lease_terms.h"
#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/owned_fd.h"
#include "services/common/result.h"

namespace allod::gateway::metering {

struct JournalFileHead;
struct JournalSlot;

// Fixed when the slot is taken.
struct JournalEntry {
  Uuid request_id;
  std::string tenant;    // `tenants/{tenant}`, at most 79 bytes
  std::string instance;  // for people who read the log; at most 287 bytes
  Time admit_time;
};

// What billing is to be told.
struct Settlement {
  JournalEntry entry;
  std::uint32_t outcome = 0;  // billing.v1.Outcome
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::optional<LeaseTerms> terms;  // none of a slot of before leases, whose money billing holds for it
  bool reserved = false;            // of such a one: billing acknowledged the reservation
};

class Journal {
 public:
  // Opens or creates <directory>/requests.journal with `slot_count` slots (an existing file keeps its own count). Slots
  // that were left open are finalised with `lost_outcome` and the counts they have. FAILED_PRECONDITION /
  // JOURNAL_IN_USE, JOURNAL_UNREADABLE, JOURNAL_TOO_NEW (written by a later version); INTERNAL / JOURNAL_IO.
  static Result<std::unique_ptr<Journal>> Open(const std::filesystem::path& directory, int slot_count,
                                               std::uint32_t lost_outcome);
  ~Journal();
  Journal(const Journal&) = delete;

  // UNAVAILABLE / JOURNAL_FULL when every slot waits for billing.
  Result<int> Take(const JournalEntry& entry);
  // INVALID_ARGUMENT / INVALID_NAME when a slot has no room for one of the names.
  static Status CheckNames(const PriceKey& price, const std::string& api_key);
  // Before the request runs on them; what it had before is forgotten. The names have passed CheckNames().
  void SetTerms(int slot, const LeaseTerms& terms);
  // Of its terms: before tokens beyond are handed over.
  void SetCompletionTokensMax(int slot, std::int64_t tokens);
  void SetPromptTokens(int slot, std::int64_t tokens);
  // Negative for what was not delivered after all.
  void AddCompletionTokens(int slot, std::int64_t tokens);
  // How an open slot ends if this process dies now; 0: with `lost_outcome`.
  void SetOutcomeIfLost(int slot, std::uint32_t outcome);
  std::int64_t CompletionTokens(int slot) const;
  // From now on the settlement is fixed; Read() gives the same until Free().
  void Finalise(int slot, std::uint32_t outcome);
  Settlement Read(int slot) const;
  std::string TenantOf(int slot) const;
  // Whether it is one of before leases.
  bool IsOld(int slot) const;
  void Free(int slot);

  // Finalised slots that Open() found; each must be settled and freed.
  const std::vector<int>& recovered() const { return recovered_; }
  // Made once with the file, for as long as it is kept.
  const Uuid& gateway_id() const { return gateway_id_; }
  int torn_count() const { return torn_count_; }
  int slot_count() const { return slot_count_; }
  int used_count() const;

 private:
  Journal() = default;
  Status Map(const std::filesystem::path& file, int slot_count);
  Status MapWhole(const std::filesystem::path& file, const JournalFileHead& head, bool is_new);
  Status Recover(std::uint32_t lost_outcome);
  JournalSlot& At(int slot) const;

  OwnedFd fd_;
  Uuid gateway_id_;
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
  int slot_count_ = 0;
  int torn_count_ = 0;
  std::vector<int> recovered_;
  mutable std::mutex mutex_;
  std::vector<int> free_;
};

}  // namespace allod::gateway::metering
