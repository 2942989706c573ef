// The worker's side of the gate: TurnGate over its WorkerPage.
#pragma once

#include <atomic>
#include <chrono>

#include "inference/gate/worker_page.h"
#include "inference/ports/turn_gate.h"

namespace allod::inference::gate {

class GateClient final : public ports::TurnGate {
 public:
  // `page` and the eventfd `agent_fd` must outlive it.
  GateClient(WorkerPage& page, int agent_fd) : page_(page), agent_fd_(agent_fd) {}

  ports::TurnGate::Turn Begin() override;
  void End(std::int32_t prompt_tokens, std::int32_t decode_tokens) override;
  void SpentAside(std::chrono::nanoseconds processor_time) override;
  void Rest() override;
  void Interrupt() override;

 private:
  void TellAgent() const;
  bool ClaimGoesOn() const;
  std::chrono::microseconds Budget() const;

  WorkerPage& page_;
  const int agent_fd_;
  std::atomic<bool> interrupted_ = false;
  std::chrono::steady_clock::time_point granted_;
  std::chrono::steady_clock::time_point began_;
  bool claim_ = false;  // of which something is left, as far as we know
};

}  // namespace allod::inference::gate
