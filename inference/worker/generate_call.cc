#include "inference/worker/generate_call.h"

#include <utility>

#include "inference/worker/convert.h"
#include "services/common/rpc/caller.h"
#include "services/common/rpc/server.h"

namespace allod::inference::worker {
namespace {

constexpr int kSubmitters = 2;
constexpr std::size_t kToSubmitMax = 1024;
constexpr std::chrono::milliseconds kRetryAfter{1000};

Error Cancelled() { return {Code::kCancelled, "CANCELLED", "the caller went away"}; }

}  // namespace

CallThreads::CallThreads(Engine& engine) : engine_(engine) {
  for (int i = 0; i < kSubmitters; ++i) threads_.emplace_back([this] { SubmitAll(); });
  threads_.emplace_back([this] { PumpAll(); });
}

CallThreads::~CallThreads() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  submitted_.notify_all();
  woken_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Status CallThreads::Submit(std::shared_ptr<GenerateCall> call) {
  {
    const std::lock_guard lock(mutex_);
    if (to_submit_.size() >= kToSubmitMax) {
      Error full{Code::kResourceExhausted, "QUEUE_FULL", "too many requests arrive at once; try again later"};
      full.retry_after = kRetryAfter;
      return std::unexpected(std::move(full));
    }
    to_submit_.push_back(std::move(call));
  }
  submitted_.notify_one();
  return {};
}

void CallThreads::Wake(std::shared_ptr<GenerateCall> call) {
  if (call->is_queued_.exchange(true)) return;
  {
    const std::lock_guard lock(mutex_);
    ready_.push_back(std::move(call));
  }
  woken_.notify_one();
}

void CallThreads::WakeAt(SteadyTime when, std::shared_ptr<GenerateCall> call) {
  {
    const std::lock_guard lock(mutex_);
    later_.emplace(when, std::move(call));
  }
  woken_.notify_one();
}

void CallThreads::SubmitAll() {
  std::unique_lock lock(mutex_);
  while (true) {
    submitted_.wait(lock, [this] { return stop_ || !to_submit_.empty(); });
    if (stop_) return;
    const std::shared_ptr<GenerateCall> call = std::move(to_submit_.front());
    to_submit_.pop_front();
    lock.unlock();
    call->SubmitTo(engine_);
    lock.lock();
  }
}

void CallThreads::PumpAll() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const SteadyTime now = std::chrono::steady_clock::now();
    std::shared_ptr<GenerateCall> call;
    if (!later_.empty() && later_.begin()->first <= now) {
      call = std::move(later_.begin()->second);
      later_.erase(later_.begin());
    } else if (!ready_.empty()) {
      call = std::move(ready_.front());
      ready_.pop_front();
      call->is_queued_.store(false);
    } else if (later_.empty()) {
      woken_.wait(lock);
      continue;
    } else {
      woken_.wait_until(lock, later_.begin()->first);
      continue;
    }
    lock.unlock();
    call->Pump();
    call.reset();
    lock.lock();
  }
}

GenerateCall* GenerateCall::Start(CallThreads& threads, grpc::CallbackServerContext& context,
                                  const v1::GenerateRequest& request) {
  const std::shared_ptr<GenerateCall> call(new GenerateCall(threads));
  call->self_ = call;
  const Status started = RunCatching([&]() -> Status {
    ALLOD_TRY(const Caller caller, Caller::From(context));
    ALLOD_CHECK_OK(RequirePlatform(caller));
    ALLOD_TRY(call->request_, FromProto(request));
    return threads.Submit(call);
  });
  if (!started) call->End(started);
  return call.get();
}

void GenerateCall::SubmitTo(Engine& engine) {
  if (is_cancelled_.load()) return End(std::unexpected(Cancelled()));
  std::shared_ptr<Generation> generation;
  const Status submitted = RunCatching([&]() -> Status {
    ALLOD_TRY(generation, engine.Submit(request_));
    return {};
  });
  request_ = {};
  if (!submitted) return End(submitted);
  {
    const std::lock_guard lock(mutex_);
    generation_ = std::move(generation);
  }
  threads_.Wake(shared_from_this());
}

void GenerateCall::Pump() {
  std::unique_lock lock(mutex_);
  if (is_ended_ || is_writing_ || !generation_) return;
  if (is_cancelled_.load()) {
    lock.unlock();
    return End(std::unexpected(Cancelled()));
  }
  const auto wake = [self = shared_from_this()] { self->threads_.Wake(self); };
  const auto now = std::chrono::steady_clock::now();
  if (told_text_ && now < *told_text_ + generation_->pace()) {
    // Text that comes now is sent together with what follows it; the end is not kept waiting.
    threads_.WakeAt(*told_text_ + generation_->pace(), shared_from_this());
    told_text_.reset();
    return generation_->Arm(wake, /*only_end=*/true);
  }
  auto event = generation_->Take();
  if (!event) {
    lock.unlock();
    return End(std::unexpected(event.error()));
  }
  if (!*event) return generation_->Arm(wake);
  if (std::holds_alternative<Delta>(**event)) told_text_ = now;
  if (std::holds_alternative<Finished>(**event)) outcome_ = Status();
  response_ = ToProto(**std::move(event));
  is_writing_ = true;
  lock.unlock();
  StartWrite(&response_);
}

void GenerateCall::OnWriteDone(bool ok) {
  std::optional<Status> outcome;
  {
    const std::lock_guard lock(mutex_);
    is_writing_ = false;
    outcome = ok ? outcome_ : Status(std::unexpected(Cancelled()));
  }
  if (outcome) return End(*outcome);
  threads_.Wake(shared_from_this());
}

void GenerateCall::OnCancel() {
  is_cancelled_.store(true);
  std::shared_ptr<Generation> generation;
  {
    const std::lock_guard lock(mutex_);
    generation = generation_;
  }
  if (generation) generation->Cancel();
  threads_.Wake(shared_from_this());
}

void GenerateCall::End(const Status& status) {
  std::shared_ptr<Generation> generation;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_ended_, true)) return;
    generation = std::move(generation_);
  }
  if (generation) {
    generation->Arm(nullptr);
    generation.reset();
  }
  Finish(FinishRpc(observation_, status));
}

void GenerateCall::OnDone() {
  // Others may hold it for a moment longer.
  const std::shared_ptr<GenerateCall> last = std::move(self_);
}

}  // namespace allod::inference::worker
