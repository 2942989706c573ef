// One Generate call, and the threads that serve all calls: no thread is held per call, so thousands of callers that
// stall cost a few kilobytes each.
//
// Submitting (render, tokenise) takes milliseconds or, with a hostile template or grammar, parts of a second: it has
// threads of its own, in two lanes, so that plain requests do not wait for grammars to be compiled. In each lane the
// tenants are served by the processor time that their requests took, refused ones included, and of one tenant one at a
// time is under way. Compiling gives way to all that computes in turns.
//
// What the servable has to tell is written by one thread, the pump, which its own threads only wake. A call has one
// write under way at a time; a caller that stalls does not complete it, so the generation's stream fills up and the
// servable pauses that generation.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "allod/inference/v1/worker.pb.h"
#include "inference/fairness/fair_queue.h"
#include "inference/ports/servable.h"
#include "services/common/metrics.h"
#include "services/common/result.h"
#include "services/common/rpc/call.h"
#include "services/common/rpc/method.h"

namespace allod::inference::worker {

class GenerateCall;

// The calls that have no end yet.
class OpenCalls {
 public:
  void Add(GenerateCall& call);
  // Before gRPC lets go of it.
  void Remove(GenerateCall& call);
  void CountWrite() { ++writes_total_; }
  std::int64_t writes_total() const { return writes_total_; }
  std::int32_t count() const;
  // Ends each with UNAVAILABLE / DRAINED, or cancels it if its caller stalls: either way it is told that this was
  // meant.
  void EndAll();

 private:
  // gRPC may tell a call of its end from within EndAll().
  mutable std::recursive_mutex mutex_;
  std::set<GenerateCall*> calls_;
  std::atomic<std::int64_t> writes_total_ = 0;
};

// A call whose request waits to be submitted.
class SubmittedCall {
 public:
  virtual ~SubmittedCall() = default;
  // Of its request, until it is submitted.
  virtual const std::string& tenant() const = 0;
  virtual bool has_constraint() const = 0;
  // On a submitting thread, once.
  virtual void SubmitTo(ports::Servable& servable) = 0;
  // Instead of that; from any thread.
  virtual void Refuse(const Error& error) = 0;
};

// Owns the threads. Must outlive every call, so destroy it after the server.
class CallThreads {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  explicit CallThreads(ports::Servable& servable);
  ~CallThreads();
  CallThreads(const CallThreads&) = delete;
  CallThreads& operator=(const CallThreads&) = delete;

  // Submits the call's request. RESOURCE_EXHAUSTED / QUEUE_FULL when too many wait for that, of all or of its tenant.
  Status Submit(std::shared_ptr<SubmittedCall> call);
  // Lets the pump look at the call now, or at `when`. From any thread; never blocks on a call.
  void Wake(std::shared_ptr<GenerateCall> call);
  void WakeAt(SteadyTime when, std::shared_ptr<GenerateCall> call);
  OpenCalls& open() { return open_; }
  const OpenCalls& open() const { return open_; }

 private:
  struct Lane {
    std::condition_variable news;
    fairness::FairQueue<std::shared_ptr<SubmittedCall>> waiting;
    std::set<std::string> under_way;  // tenants
  };

  void SubmitAll(Lane& lane);
  // The next that may be submitted; null when there is none.
  static std::shared_ptr<SubmittedCall> TakeNext(Lane& lane);
  void PumpAll();

  ports::Servable& servable_;
  OpenCalls open_;
  std::mutex mutex_;
  bool stop_ = false;
  Lane plain_;
  Lane constrained_;
  std::condition_variable woken_;
  std::deque<std::shared_ptr<GenerateCall>> ready_;
  std::multimap<SteadyTime, std::shared_ptr<GenerateCall>> later_;
  std::vector<std::thread> threads_;  // last: they use everything above
};

class GenerateCall final : public grpc::ServerWriteReactor<v1::GenerateResponse>,
                           public SubmittedCall,
                           public std::enable_shared_from_this<GenerateCall> {
 public:
  // Starts the call; it lives until gRPC is done with it.
  static GenerateCall* Start(CallThreads& threads, grpc::CallbackServerContext& context,
                             const v1::GenerateRequest& request);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  const std::string& tenant() const override { return request_.tenant_uid; }
  bool has_constraint() const override;
  void SubmitTo(ports::Servable& servable) override;
  void Refuse(const Error& error) override { End(std::unexpected(error)); }

 private:
  friend class CallThreads;
  friend class OpenCalls;
  GenerateCall(CallThreads& threads, grpc::CallbackServerContext& context)
      : threads_(threads), context_(context), trace_(TraceOf(context)) {}

  // On the pump thread: writes the next event, or asks to be woken for it.
  void Pump();
  void End(const Status& status);
  // Because the worker ends.
  void Drain();

  CallThreads& threads_;
  grpc::CallbackServerContext& context_;
  const Trace trace_;
  RpcObservation observation_{MethodOf<v1::GenerateRequest>().name.c_str()};
  std::shared_ptr<GenerateCall> self_;   // until OnDone
  ports::GenerationRequest request_;     // until it is submitted
  std::atomic<bool> is_queued_ = false;  // for the pump
  std::atomic<bool> is_cancelled_ = false;

  std::mutex mutex_;  // of what follows
  std::shared_ptr<ports::Generation> generation_;
  std::optional<Status> outcome_;  // to be told once nothing is being written
  bool is_writing_ = false;
  bool is_ended_ = false;
  std::optional<std::chrono::steady_clock::time_point> told_text_;
  v1::GenerateResponse response_;
};

}  // namespace allod::inference::worker
