// The engine's port to the node's compute: it computes only in turns.
//
// A turn is one decode step or one chunk of prompt, and what drawing tokens from it takes. Where several workers share
// the cores, a turn must end within its budget, so that everybody's next one is near; alone, budgets are generous and
// turns cost nothing. Used by the decode thread only, except where said.
#pragma once

#include <chrono>
#include <cstdint>

namespace allod::inference::ports {

class TurnGate {
 public:
  virtual ~TurnGate() = default;

  struct Turn {
    // What one step should take at most. The engine puts fewer sequences or less prompt into a step that would take
    // longer; a step of one token is always allowed.
    std::chrono::microseconds budget{50'000};
    // Whether other workers want the cores, now or a moment ago: the budget is then kept to for what runs, too.
    bool contended = false;
  };

  // Waits for a turn. Returns at once after Interrupt().
  virtual Turn Begin() = 0;
  // The turn is over: what it computed. Fairness between tenants counts the time, not the tokens.
  virtual void End(std::int32_t prompt_tokens, std::int32_t decode_tokens) = 0;
  // Processor time that was used outside of turns: requests were rendered, compiled, refused. From any thread.
  virtual void SpentAside(std::chrono::nanoseconds processor_time) = 0;
  // Nothing to compute until further notice. The next Begin may wait.
  virtual void Rest() = 0;
  // From any thread: makes a waiting Begin and all later ones return at once, because the engine stops.
  virtual void Interrupt() = 0;
};

// For an engine that has the machine to itself.
class OpenGate final : public TurnGate {
 public:
  explicit OpenGate(std::chrono::microseconds budget = std::chrono::milliseconds(50)) : budget_(budget) {}
  Turn Begin() override { return {budget_, false}; }
  void End(std::int32_t /*prompt_tokens*/, std::int32_t /*decode_tokens*/) override {}
  void SpentAside(std::chrono::nanoseconds /*processor_time*/) override {}
  void Rest() override {}
  void Interrupt() override {}

 private:
  const std::chrono::microseconds budget_;
};

}  // namespace allod::inference::ports
