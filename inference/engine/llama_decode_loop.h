// The decode thread of an Engine: owns the llama.cpp context and every running sequence. Internal to
// llama_engine.cc.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "inference/engine/llama_assets.h"
#include "inference/engine/llama_context.h"
#include "inference/engine/llama_engine.h"
#include "inference/engine/llama_kv.h"
#include "inference/engine/llama_running.h"
#include "inference/engine/llama_scratch.h"
#include "inference/engine/step_cost.h"
#include "inference/engine/step_share.h"
#include "inference/engine/text/draw_budget.h"
#include "inference/engine/token_stream.h"
#include "inference/fairness/fair_queue.h"
#include "inference/model/llama_runtime.h"
#include "inference/ports/turn_gate.h"
#include "services/common/result.h"

namespace allod::inference::engine {

class DecodeLoop {
 public:
  // Takes the context with its thread pool and starts the thread. `assets` and what `options` points to must outlive
  // it; the options have no zeros left, but for the pointers.
  static Result<std::unique_ptr<DecodeLoop>> Start(llama_model& model, const ModelAssets& assets,
                                                   const EngineOptions& options);
  ~DecodeLoop();
  DecodeLoop(const DecodeLoop&) = delete;
  DecodeLoop& operator=(const DecodeLoop&) = delete;

  // RESOURCE_EXHAUSTED / QUEUE_FULL. Thread-safe.
  Status Enqueue(PendingGeneration pending);
  // What the checks of a request cost, whether it was enqueued or refused. Thread-safe.
  void ChargePrepared(const std::string& tenant, double weight, std::chrono::nanoseconds processor_time);
  EngineStatus status() const;  // thread-safe
  const std::shared_ptr<Wakeup>& wakeup() const { return wakeup_; }
  // See Engine::GiveBackScratch. Thread-safe.
  void GiveBackScratch();

 private:
  // Below this a chunk of prompt costs nearly as much as a larger one, because the weights are read once for either.
  static constexpr std::int32_t kChunkTokensMin = 32;

  DecodeLoop(const ModelAssets& assets, const EngineOptions& options);

  void BuildGraphs();
  void Run();
  void Sleep();
  void DropCancelled();
  void Admit();
  // Who waits for a place, after admissions.
  struct Waiting {
    bool is_full = false;            // somebody lacks room
    std::set<std::string> at_limit;  // tenants that run as much as they may
  };
  Waiting AdmitOnce();
  void NoteStalled();
  // Whether it ended one that stalled for too long in the place of one that waits.
  bool EndStalled(const Waiting& waiting);
  bool HasWork() const;
  // Fills the batch; false when nothing can be done now.
  bool FillBatch(const ports::TurnGate::Turn& turn);
  // Its rows of this step, at most `rows`; how many they are.
  std::int32_t AddDecodeRows(RunningGeneration& generation, std::int32_t rows);
  std::int32_t AddChunk(RunningGeneration& generation, std::int32_t rows);
  // Seconds that it took.
  double Step();
  void FailStep(int code);
  // What the step brought for one generation.
  void Advance(RunningGeneration& generation);
  // Draws that are under way, within the turn and so that steps of others are not kept waiting.
  void GoOnDrawing(const ports::TurnGate::Turn& turn, SteadyTime turn_began, double step_seconds);
  // A slice of one generation's draws.
  Status DrawSlice(RunningGeneration& generation, SteadyTime until);
  bool CanDecode(const RunningGeneration& generation) const;
  bool AnyCanStep() const;
  std::vector<RunningGeneration*> TakePart(const ports::TurnGate::Turn& turn, std::chrono::duration<double>& budget);
  void LevelOut(std::map<std::string, StepTenant>& tenants);
  // Whether several tenants computed here a moment ago.
  bool HasNeighbours() const;
  void Charge(const RunningGeneration& generation, double seconds);
  // Ends it if it is done or failed; whether it did.
  bool Settle(RunningGeneration& generation, const Status& status);
  void EndGeneration(RunningGeneration& generation, bool keep);
  void CountFirstToken(RunningGeneration& generation);
  void CountTurn(SteadyTime wanted, SteadyTime began);
  std::size_t OutputBytes() const;
  static bool ShouldAbort(void* self);

  const ModelAssets& assets_;
  const EngineOptions options_;
  const std::shared_ptr<Wakeup> wakeup_ = std::make_shared<Wakeup>();
  ports::OpenGate open_gate_;
  ports::TurnGate& gate_;

  model::ThreadpoolPtr threadpool_;  // before the context, which uses it
  ScratchMemory scratch_;            // as must this
  ContextPtr context_;
  BatchPtr batch_;
  std::int32_t batch_tokens_max_ = 0;
  std::unique_ptr<KvCache> kv_;
  std::vector<std::unique_ptr<RunningGeneration>> running_;  // within a tenant the next to be served first
  std::vector<RunningGeneration*> in_step_;                  // those in the batch
  std::int32_t step_prompt_ = 0;                             // tokens of this step
  std::int32_t step_decode_ = 0;
  StepCost cost_;
  std::set<std::string> last_tenants_;  // that took part in the last step
  SteadyTime last_shared_;              // when another tenant took part than in the step before
  text::DrawBudget draw_budget_;

  mutable std::mutex queue_mutex_;
  bool has_ended_ = false;  // the thread, which alone takes from the queue; guarded like it
  fairness::FairQueue<PendingGeneration> queue_;

  std::int32_t slots_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> gives_back_ = false;
  std::atomic<std::int32_t> queued_ = 0;
  std::atomic<std::int32_t> active_ = 0;
  TokenTotals totals_;
  mutable std::mutex status_mutex_;
  EngineStatus status_;  // what the atomics do not have
  std::vector<double> recent_first_tokens_;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace allod::inference::engine
