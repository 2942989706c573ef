#include "inference/node/usage_collector.h"

#include <fmt/format.h>

#include <system_error>

#include "inference/node/stoppable.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"

namespace allod::inference::node {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::size_t kBatchMax = 500;
constexpr milliseconds kCollectEvery{250};
constexpr milliseconds kRetryAfter{1000};
constexpr milliseconds kCallTimeout{5000};
constexpr milliseconds kLastCallTimeout{1000};

void SetTime(std::int64_t micros, google::protobuf::Timestamp& out) {
  out.set_seconds(micros / 1'000'000);
  out.set_nanos(static_cast<std::int32_t>(micros % 1'000'000 * 1000));
}

billing::v1::ComputedOutcome ToProto(UsageOutcome outcome) {
  switch (outcome) {
    case UsageOutcome::kCompleted:
      return billing::v1::COMPUTED_OUTCOME_COMPLETED;
    case UsageOutcome::kCancelled:
      return billing::v1::COMPUTED_OUTCOME_CANCELLED;
    case UsageOutcome::kFailed:
      return billing::v1::COMPUTED_OUTCOME_FAILED;
    case UsageOutcome::kLost:
      return billing::v1::COMPUTED_OUTCOME_LOST;
  }
  return billing::v1::COMPUTED_OUTCOME_FAILED;
}

}  // namespace

UsageCollector::UsageCollector(fs::path directory, std::string node_name, std::shared_ptr<grpc::Channel> billing,
                               Caller caller)
    : directory_(std::move(directory)),
      node_name_(std::move(node_name)),
      stub_(billing::v1::ComputedUsageService::NewStub(std::move(billing))),
      caller_(std::move(caller)) {}

Result<std::unique_ptr<UsageCollector>> UsageCollector::Start(fs::path directory, std::string node_name,
                                                              std::shared_ptr<grpc::Channel> billing, Caller caller) {
  std::unique_ptr<UsageCollector> out(
      new UsageCollector(std::move(directory), std::move(node_name), std::move(billing), std::move(caller)));
  ALLOD_CHECK_OK(out->TakeOver());
  out->thread_ = std::jthread([raw = out.get()](std::stop_token stop) { raw->Run(std::move(stop)); });
  return out;
}

UsageCollector::~UsageCollector() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  bool reachable = true;
  for (const std::uint64_t id : RingIds()) {
    while (reachable && CollectFrom(id, kLastCallTimeout, reachable)) {
    }
  }
}

Status UsageCollector::TakeOver() {
  std::error_code error;
  fs::create_directories(directory_, error);
  fs::permissions(directory_, fs::perms::owner_all, error);
  if (!fs::is_directory(directory_, error)) {
    return FailedPrecondition("NO_USAGE_DIR",
                              fmt::format("usage_dir: {} cannot be made a directory", directory_.string()));
  }
  std::size_t taken = 0;
  for (const auto& entry : fs::directory_iterator(directory_, error)) {
    if (entry.path().extension() != ".ring") continue;
    auto ring = usage::RingMapping::OpenFile(entry.path());
    if (!ring) {
      // Kept under another name: it may hold what was computed, and somebody should look at it.
      Log(LogLevel::kError, "a usage ring is damaged and set aside",
          {{"file", entry.path().filename().string()}, {"error", ring.error().message}});
      std::error_code ignored;
      fs::rename(entry.path(), entry.path().string() + ".damaged", ignored);
      continue;
    }
    auto reader = std::make_shared<usage::RingReader>(*std::move(ring));
    reader->CloseOpen();
    rings_.emplace(next_leftover_++, Ring{entry.path(), std::move(reader), true});
    ++taken;
  }
  if (taken > 0)
    Log(LogLevel::kInfo, "took over usage rings of workers that are gone", {{"rings", std::to_string(taken)}});
  return {};
}

Result<fs::path> UsageCollector::Open(std::uint64_t worker_id, const std::string& replica_uid) {
  const fs::path path = directory_ / (Uuid::V7().ToString() + ".ring");
  ALLOD_TRY(auto ring, usage::RingMapping::CreateFile(path, replica_uid));
  const std::lock_guard lock(mutex_);
  rings_.emplace(worker_id, Ring{path, std::make_shared<usage::RingReader>(std::move(ring))});
  return path;
}

void UsageCollector::WorkerEnded(std::uint64_t worker_id) {
  const std::lock_guard lock(mutex_);
  const auto found = rings_.find(worker_id);
  if (found == rings_.end()) return;
  found->second.reader->CloseOpen();
  found->second.ended = true;
  found->second.pending = true;
}

std::vector<std::uint64_t> UsageCollector::RingIds() {
  const std::lock_guard lock(mutex_);
  std::vector<std::uint64_t> out;
  for (const auto& [id, ring] : rings_) out.push_back(id);
  return out;
}

void UsageCollector::Run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    bool reachable = true;
    for (const std::uint64_t id : RingIds()) {
      while (reachable && !stop.stop_requested() && CollectFrom(id, kCallTimeout, reachable)) {
      }
    }
    SleepFor(stop, reachable ? kCollectEvery : kRetryAfter);
  }
}

bool UsageCollector::CollectFrom(std::uint64_t id, milliseconds timeout, bool& reachable) {
  std::shared_ptr<usage::RingReader> reader;
  {
    const std::lock_guard lock(mutex_);
    const auto found = rings_.find(id);
    if (found == rings_.end()) return false;
    Ring& ring = found->second;
    const std::uint64_t closed = ring.reader->closed_total();
    if (!ring.pending && closed == ring.closed_seen) return false;
    ring.closed_seen = closed;
    ring.pending = false;
    reader = ring.reader;
  }
  const auto events = reader->Closed(kBatchMax);
  if (!events.empty()) {
    if (const Status recorded = Record(*reader, events, timeout); !recorded) {
      // One ring that billing cannot take must not keep the others from it.
      const Code code = recorded.error().code;
      reachable = code != Code::kUnavailable && code != Code::kDeadlineExceeded;
      const std::lock_guard lock(mutex_);
      if (const auto found = rings_.find(id); found != rings_.end()) found->second.pending = true;
      return false;
    }
  }
  const std::lock_guard lock(mutex_);
  const auto found = rings_.find(id);
  if (found == rings_.end()) return false;
  if (found->second.ended && reader->Empty()) {
    std::error_code ignored;
    fs::remove(found->second.path, ignored);
    rings_.erase(found);
    return false;
  }
  found->second.pending = events.size() == kBatchMax || found->second.ended;
  return found->second.pending && !events.empty();
}

Status UsageCollector::Record(usage::RingReader& reader, const std::vector<usage::UsageEvent>& events,
                              milliseconds timeout) {
  billing::v1::RecordComputedUsageRequest request;
  for (const usage::UsageEvent& event : events) {
    auto& out = *request.add_events();
    out.set_event_id(event.event_id.ToString());
    out.set_request_id(event.request_id.ToString());
    out.set_tenant_uid(event.tenant.ToString());
    out.set_instance(event.instance);
    out.set_node(node_name_);
    out.set_replica_uid(event.replica_uid);
    out.set_prompt_tokens_computed(event.prompt_tokens);
    out.set_prompt_tokens_cached(event.cached_prompt_tokens);
    out.set_sampled_tokens(event.sampled_tokens);
    out.set_outcome(ToProto(event.outcome));
    SetTime(event.start_us, *out.mutable_start_time());
    SetTime(event.end_us, *out.mutable_end_time());
  }
  const auto answer = Call<billing::v1::ComputedUsageService::Stub, billing::v1::RecordComputedUsageRequest,
                           billing::v1::RecordComputedUsageResponse>(
      *stub_, &billing::v1::ComputedUsageService::Stub::RecordComputedUsage, request, caller_, timeout);
  if (!answer) return std::unexpected(answer.error());
  for (const auto& refusal : answer->refusals()) {
    Log(LogLevel::kError, "billing refused a usage event",
        {{"event", refusal.event_id()}, {"reason", refusal.reason()}, {"error", refusal.message()}});
  }
  for (const usage::UsageEvent& event : events) reader.Free(event);
  return {};
}

}  // namespace allod::inference::node
