// Whose usage ring it is: what its worker was when it got the ring, written by the agent beside it where no worker
// reaches.
//
// The ring's own head is in its worker's hands. What decides about what stands in a ring (its id, its size, which
// instances of which tenants it may name) is this, also for the agent that takes over after a restart.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "inference/usage/ring_slot.h"
#include "services/common/ids.h"
#include "services/common/result.h"

namespace allod::inference::usage {

// An instance that the worker answers for, or did at some time since it has the ring.
struct RingMember {
  std::string instance;
  Uuid tenant;
  std::int32_t context_tokens = 0;  // of one answer with its prompt; 0: not known
  std::int32_t choices_max = 1;     // answers to one prompt

  bool operator==(const RingMember&) const = default;
};

struct RingDeed {
  Uuid ring_id;  // event ids are made of it
  std::string replica_uid;
  std::uint32_t slots = kSlotsDefault;
  std::int64_t made_us = 0;  // since the Unix epoch
  std::vector<RingMember> members;
  bool any_member = false;  // of an earlier version, which did not write down who was who

  // Adds those that are new or have another shape. At most 2,048 are kept: those that were added or said again last.
  void AddMembers(const std::vector<RingMember>& members);
  // The most that an instance may have had: where its shape changed, a request may have come before that. Nothing when
  // the ring has nothing to say about it.
  std::optional<RingMember> Find(const std::string& instance, const Uuid& tenant) const;
};

// "x.deed" for "x.ring".
std::filesystem::path DeedPath(const std::filesystem::path& ring);
// Replaces the file in one step. INTERNAL / USAGE_RING_FAILED.
Status WriteDeed(const std::filesystem::path& path, const RingDeed& deed);
// INVALID_ARGUMENT / USAGE_RING_DAMAGED: there is none, or it is none. Deeds of later versions are refused.
Result<RingDeed> ReadDeed(const std::filesystem::path& path);
// For a ring that has none: agents of earlier versions made none, and no worker can take one away. As its head says.
// INVALID_ARGUMENT / USAGE_RING_DAMAGED.
Result<RingDeed> DeedOfEarlierVersion(const std::filesystem::path& ring);

}  // namespace allod::inference::usage
