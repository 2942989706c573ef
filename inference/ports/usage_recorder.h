// The engine's port to whoever counts what it computes: one slot per request, from admission to its end.
//
// Counting must be cheap (a store to shared memory) and survive the process, because it is called for each token and
// the process may be killed at any moment.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "services/common/result.h"

namespace allod::inference::ports {

enum class UsageOutcome : std::uint8_t {
  kCompleted = 1,
  kCancelled = 2,  // the caller went away
  kFailed = 3,     // the engine failed or stopped
  kLost = 4,       // the process died; set by the node agent
};

// One request. Closing it without Finish records kFailed. For one thread at a time.
class UsageSlot {
 public:
  virtual ~UsageSlot() = default;
  // Tokens of the prompt that were computed so far, and those taken from the prefix cache.
  virtual void CountPrompt(std::int32_t computed, std::int32_t cached) = 0;
  // One more sampled token (of any choice).
  virtual void CountSampled() = 0;
  virtual void Finish(UsageOutcome outcome) = 0;
};

class UsageRecorder {
 public:
  virtual ~UsageRecorder() = default;
  // Thread-safe. RESOURCE_EXHAUSTED / USAGE_RING_FULL: the request must be refused, because it could not be counted.
  // INVALID_ARGUMENT / INVALID_REQUEST_ID, INVALID_TENANT for what is no UUID.
  virtual Result<std::unique_ptr<UsageSlot>> Open(std::string_view request_id, std::string_view tenant_uid,
                                                  std::string_view instance) = 0;
};

// For tests and tools: counts nothing.
class NoUsageRecorder final : public UsageRecorder {
 public:
  Result<std::unique_ptr<UsageSlot>> Open(std::string_view /*request_id*/, std::string_view /*tenant_uid*/,
                                          std::string_view /*instance*/) override {
    struct Slot final : UsageSlot {
      void CountPrompt(std::int32_t /*computed*/, std::int32_t /*cached*/) override {}
      void CountSampled() override {}
      void Finish(UsageOutcome /*outcome*/) override {}
    };
    return std::make_unique<Slot>();
  }
};

}  // namespace allod::inference::ports
