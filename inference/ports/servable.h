// What a worker serves: the port between the worker's service and the runtime that computes.
//
// A servable answers for the members that it was told (members.h), computes only in turns (turn_gate.h), and counts
// what it computed before it tells it (usage_recorder.h). It is fair between tenants and bounds what it keeps waiting.
// It may start threads, so it is made after the fork. Each task is a call here that refuses: a runtime overrides those
// that it has. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "inference/ports/embedding.h"
#include "inference/ports/generation.h"
#include "inference/ports/members.h"
#include "services/common/result.h"

namespace allod::inference::ports {

// The reader's end of one generation. Destruction cancels it: what it holds is freed at the next step. For one thread
// at a time. May outlive its servable.
class Generation {
 public:
  virtual ~Generation() = default;

  // The next event, or nothing when `timeout` passed; nothing follows Finished. An error ends it.
  virtual Result<std::optional<Event>> Next(std::chrono::milliseconds timeout) = 0;
  // For a reader without a thread of its own: the next event if there is one; and a call, once, from any thread, when
  // there is. `listener` must not call back into the generation. Replaces an earlier one; an empty one only removes
  // that. With `only_end` it is called for an event after which nothing follows.
  virtual Result<std::optional<Event>> Take() = 0;
  virtual void Arm(std::function<void()> listener, bool only_end = false) = 0;
  // From any thread.
  virtual void Cancel() = 0;
  // How long text may wait to be sent together.
  virtual std::chrono::microseconds pace() const = 0;
};

// Counters since the start, and what is now. A task without tokens leaves theirs at 0.
struct ServableFigures {
  std::int32_t context_tokens = 0;
  std::int32_t max_sequences = 0;
  std::int32_t active_sequences = 0;
  std::int32_t queued_requests = 0;
  std::int64_t prompt_tokens_total = 0;      // of prompts that were started, cached ones included
  std::int64_t completion_tokens_total = 0;  // delivered
  std::int64_t sampled_tokens_total = 0;
  std::int64_t cached_prompt_tokens_total = 0;  // of the prompts: taken from the prefix cache
  std::int64_t turns_total = 0;
  double wait_seconds_total = 0;         // for turns
  std::int64_t first_tokens_total = 0;   // generations that got their first token
  double first_token_seconds_total = 0;  // from Submit to that
};

class Servable {
 public:
  virtual ~Servable() = default;

  // Replaces the table of instances that are answered for. Until the first call every instance is. What runs goes on.
  // Answers with those that were refused; the others are in force when it returns.
  virtual std::vector<RefusedMember> SetMembers(std::vector<Member> members) = 0;
  virtual ServableFigures figures() const = 0;
  // Computes something for nobody, for at most `max`, so that the first request of somebody finds all memory touched
  // that it needs. Before SetMembers.
  virtual void WarmUp(std::chrono::milliseconds max) = 0;
  // Gives memory back that is needed in a step only, if none is under way: for when nothing was computed for a while.
  // Does not wait.
  virtual void GiveBackScratch() = 0;

  // Generates text. Costs the caller's thread what it takes to prepare the request. FAILED_PRECONDITION /
  // MODEL_NOT_GENERATIVE; NOT_FOUND / UNKNOWN_INSTANCE; RESOURCE_EXHAUSTED / QUEUE_FULL; what is wrong with the
  // request; what the UsageRecorder refuses.
  virtual Result<std::unique_ptr<Generation>> Submit(const GenerationRequest& request);
  // Makes vectors. `done` is called once, from any thread, unless an error is returned; `is_cancelled`, which may be
  // null, is asked now and then, from any thread. Neither may call back. FAILED_PRECONDITION / MODEL_NOT_EMBEDDING;
  // else as Submit.
  virtual Status SubmitEmbedding(const EmbeddingRequest& request, std::function<bool()> is_cancelled,
                                 std::function<void(Result<Embeddings>)> done);
};

}  // namespace allod::inference::ports
