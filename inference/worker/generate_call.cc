#include "inference/worker/generate_call.h"

#include <sys/resource.h>
#include <unistd.h>

#include <optional>
#include <utility>
#include <variant>

#include "inference/engine/text/deep_stack.h"
#include "inference/ports/queue_errors.h"
#include "inference/worker/convert.h"
#include "services/common/call_scope.h"
#include "services/common/catching.h"
#include "services/common/rpc/server.h"

namespace allod::inference::worker {
namespace {

constexpr int kSubmitters = 2;
constexpr std::int32_t kToSubmitMax = 1024;
constexpr std::int32_t kToSubmitOfTenantMax = 256;
// A thirtieth of what a computing thread gets where both want the same core.
constexpr int kNicenessOfCompiling = 15;

Error Cancelled() { return {Code::kCancelled, "CANCELLED", "the caller went away"}; }

}  // namespace

void OpenCalls::Add(GenerateCall& call) {
  const std::lock_guard lock(mutex_);
  calls_.insert(&call);
}

void OpenCalls::Remove(GenerateCall& call) {
  const std::lock_guard lock(mutex_);
  calls_.erase(&call);
}

std::int32_t OpenCalls::count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::int32_t>(calls_.size());
}

void OpenCalls::EndAll() {
  const std::lock_guard lock(mutex_);
  const std::vector<GenerateCall*> calls(calls_.begin(), calls_.end());
  for (GenerateCall* call : calls) {
    if (calls_.contains(call)) call->Drain();
  }
}

CallThreads::CallThreads(ports::Servable& servable) : servable_(servable) {
  for (int i = 0; i < kSubmitters; ++i) {
    threads_.emplace_back([this] { OrEnd("submitter", [this] { SubmitAll(plain_); }); });
  }
  threads_.emplace_back([this] {
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNicenessOfCompiling);  // also of threads that it starts
    OrEnd("submitter of constrained requests", [this] { SubmitAll(constrained_); });
  });
  // Calls that they hold are of several members; the worker ends, and is forked anew.
  threads_.emplace_back([this] { OrEnd("pump", [this] { PumpAll(); }); });
}

CallThreads::~CallThreads() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  plain_.news.notify_all();
  constrained_.news.notify_all();
  woken_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Status CallThreads::Submit(std::shared_ptr<SubmittedCall> call) {
  Lane& lane = call->has_constraint() ? constrained_ : plain_;
  fairness::FairQueue<std::shared_ptr<SubmittedCall>>::Pushed pushed;
  {
    const std::lock_guard lock(mutex_);
    const std::string tenant = call->tenant();
    pushed = lane.waiting.PushWithin({.all = kToSubmitMax, .tenant = kToSubmitOfTenantMax}, tenant, 1, std::move(call));
  }
  if (pushed.refused) return std::unexpected(ports::QueueFull(pushed.waiting));
  lane.news.notify_one();
  if (pushed.displaced) (*pushed.displaced)->Refuse(ports::QueueFull(pushed.waiting));
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

std::shared_ptr<SubmittedCall> CallThreads::TakeNext(Lane& lane) {
  using Verdict = fairness::FairQueue<std::shared_ptr<SubmittedCall>>::Verdict;
  std::shared_ptr<SubmittedCall> next;
  lane.waiting.Offer(
      [&](const std::shared_ptr<SubmittedCall>& call) {
        if (next) return Verdict::kStop;
        return lane.under_way.contains(call->tenant()) ? Verdict::kSkipTenant : Verdict::kTake;
      },
      [&](std::shared_ptr<SubmittedCall> call) { next = std::move(call); });
  return next;
}

void CallThreads::SubmitAll(Lane& lane) {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const std::shared_ptr<SubmittedCall> call = TakeNext(lane);
    if (!call) {
      lane.news.wait(lock);
      continue;
    }
    const std::string tenant = call->tenant();
    lane.under_way.insert(tenant);
    lock.unlock();
    const auto before = engine::text::ProcessorTimeWithDeepStacks();
    call->SubmitTo(servable_);
    const std::chrono::duration<double> took = engine::text::ProcessorTimeWithDeepStacks() - before;
    lock.lock();
    lane.under_way.erase(tenant);
    lane.waiting.Charge(tenant, took.count());
    lane.waiting.Done(tenant);
    lane.news.notify_one();  // for what waited behind it
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

bool GenerateCall::has_constraint() const {
  const auto* chat = std::get_if<ports::ChatPrompt>(&request_.prompt);
  return !std::holds_alternative<ports::NoConstraint>(request_.constraint) || (chat != nullptr && !chat->tools.empty());
}

GenerateCall* GenerateCall::Start(CallThreads& threads, grpc::CallbackServerContext& context,
                                  const v1::GenerateRequest& request) {
  const std::shared_ptr<GenerateCall> call(new GenerateCall(threads, context));
  call->self_ = call;
  threads.open().Add(*call);
  const Status started = RunCatching([&]() -> Status {
    ALLOD_CHECK_OK(Authorise(MethodOf<v1::GenerateRequest>(), context, &request));
    ALLOD_TRY(call->request_, FromProto(request));
    return threads.Submit(call);
  });
  if (!started) call->End(started);
  return call.get();
}

void GenerateCall::SubmitTo(ports::Servable& servable) {
  if (is_cancelled_.load()) return End(std::unexpected(Cancelled()));
  request_.is_cancelled = [this] { return is_cancelled_.load(); };
  std::shared_ptr<ports::Generation> generation;
  const Status submitted = RunCatching([&]() -> Status {
    ALLOD_TRY(generation, servable.Submit(request_));
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
  if (std::holds_alternative<ports::Delta>(**event)) told_text_ = now;
  if (std::holds_alternative<ports::Finished>(**event)) outcome_ = Status();
  response_ = ToProto(**std::move(event));
  is_writing_ = true;
  lock.unlock();
  StartWrite(&response_);
}

void GenerateCall::OnWriteDone(bool ok) {
  threads_.open().CountWrite();
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
  std::shared_ptr<ports::Generation> generation;
  {
    const std::lock_guard lock(mutex_);
    generation = generation_;
  }
  if (generation) generation->Cancel();
  threads_.Wake(shared_from_this());
}

void GenerateCall::End(const Status& status) {
  std::shared_ptr<ports::Generation> generation;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_ended_, true)) return;
    generation = std::move(generation_);
  }
  if (generation) {
    generation->Arm(nullptr);
    generation.reset();
  }
  const CallScope scope(Deadline::None(), trace_);
  Finish(FinishRpc(observation_, status));
}

void GenerateCall::Drain() {
  bool is_writing = false;
  {
    const std::lock_guard lock(mutex_);
    if (is_ended_) return;
    is_writing = is_writing_;
  }
  // What a caller does not take keeps an end from it that comes behind; a cancellation overtakes.
  if (is_writing) return context_.TryCancel();
  End(Fail(Code::kUnavailable, "DRAINED", "the worker ends: its instance was changed, deleted or moved"));
}

void GenerateCall::OnDone() {
  threads_.open().Remove(*this);
  // Others may hold it for a moment longer.
  const std::shared_ptr<GenerateCall> last = std::move(self_);
}

}  // namespace allod::inference::worker
