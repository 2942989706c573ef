// What of a slot is believed: its worker may have been taken over, and then it writes what it likes.
//
// Pure: a slot's content and its ring's deed in, an event and a complaint out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "inference/ports/usage_recorder.h"
#include "inference/usage/ring_deed.h"
#include "services/common/ids.h"

namespace allod::inference::usage {

// A closed slot as it stands.
struct SlotContent {
  std::uint32_t slot = 0;
  std::uint64_t sequence = 0;
  Uuid request_id;
  Uuid tenant;
  std::string instance;  // printable
  std::uint32_t outcome = 0;
  std::int64_t prompt_tokens = 0;  // computed
  std::int64_t cached_prompt_tokens = 0;
  std::int64_t sampled_tokens = 0;
  std::int64_t start_us = 0;  // since the Unix epoch
  std::int64_t end_us = 0;
};

// What one request cost.
struct UsageEvent {
  Uuid event_id;  // of the ring and the slot's sequence: the same whenever it is read
  Uuid request_id;
  Uuid tenant;
  std::string instance;
  std::string replica_uid;
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_prompt_tokens = 0;
  std::int64_t sampled_tokens = 0;
  ports::UsageOutcome outcome = ports::UsageOutcome::kLost;
  std::int64_t start_us = 0;
  std::int64_t end_us = 0;
};

struct Judgement {
  // None when the slot names whom its worker does not answer for. Else its numbers lie within what the request could
  // have cost, and its times between the ring's making and now.
  std::optional<UsageEvent> event;
  // What cannot be; empty when nothing is wrong. An honest worker never earns one.
  std::string lie;
};

Judgement Judge(const SlotContent& content, const RingDeed& deed, std::int64_t now_us);

}  // namespace allod::inference::usage
