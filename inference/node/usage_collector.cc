#include "inference/node/usage_collector.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "inference/node/process/call_until.h"
#include "services/common/fault_point.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"

namespace allod::inference::node {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::size_t kBatchMax = 500;
constexpr milliseconds kCollectEvery{250};
constexpr milliseconds kRetryAfter{1000};
constexpr milliseconds kPostponedFor{2000};
constexpr milliseconds kCallTimeout{5000};
constexpr milliseconds kLastCallsTimeout{1000};

std::int64_t NowMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void SetTime(std::int64_t micros, google::protobuf::Timestamp& out) {
  out.set_seconds(micros / 1'000'000);
  out.set_nanos(static_cast<std::int32_t>(micros % 1'000'000 * 1000));
}

billing::v1::ComputedOutcome ToProto(ports::UsageOutcome outcome) {
  switch (outcome) {
    case ports::UsageOutcome::kCompleted:
      return billing::v1::COMPUTED_OUTCOME_COMPLETED;
    case ports::UsageOutcome::kCancelled:
      return billing::v1::COMPUTED_OUTCOME_CANCELLED;
    case ports::UsageOutcome::kFailed:
      return billing::v1::COMPUTED_OUTCOME_FAILED;
    case ports::UsageOutcome::kLost:
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
  // What is in the rings is taken over by the next process.
  out->thread_ = OwnedThread("usage collector", [raw = out.get()](const std::stop_token& stop) { raw->Run(stop); });
  return out;
}

UsageCollector::~UsageCollector() {
  thread_.Stop();
  // Rings of living workers may fill again as fast as they are emptied.
  const SteadyTime until = std::chrono::steady_clock::now() + kLastCallsTimeout;
  bool reachable = true;
  while (CollectRound(until, {}, reachable)) continue;
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
    const fs::path extension = entry.path().extension();
    std::error_code ignored;
    // Of a ring that was never made, or is gone.
    const bool is_orphan =
        extension == ".new" ||
        (extension == ".deed" && !fs::exists(fs::path(entry.path()).replace_extension(".ring"), ignored) &&
         !fs::exists(fs::path(entry.path()).replace_extension(".ring.damaged"), ignored));
    if (is_orphan) fs::remove(entry.path(), ignored);
    if (extension != ".ring") continue;
    const Status ring = TakeOver(entry.path());
    if (ring) {
      ++taken;
      continue;
    }
    // Kept under another name: it may hold what was computed, and somebody should look at it.
    Log(LogLevel::kError, "a usage ring is damaged and set aside",
        {{"file", entry.path().filename().string()}, {"error", ring.error().message}});
    fs::rename(entry.path(), entry.path().string() + ".damaged", ignored);
  }
  if (taken > 0)
    Log(LogLevel::kInfo, "took over usage rings of workers that are gone", {{"rings", std::to_string(taken)}});
  return {};
}

Status UsageCollector::TakeOver(const fs::path& path) {
  const fs::path deed_path = usage::DeedPath(path);
  std::error_code error;
  const bool has_deed = fs::exists(deed_path, error);
  ALLOD_TRY(usage::RingDeed deed, has_deed ? usage::ReadDeed(deed_path) : usage::DeedOfEarlierVersion(path));
  ALLOD_TRY(usage::RingFile file, usage::RingFile::Open(path, deed.slots));
  auto reader = std::make_shared<usage::RingReader>(std::move(file));
  ALLOD_TRY(const bool was_changed, reader->Restore());
  if (was_changed) {
    Log(LogLevel::kError, "a usage ring had another size than it was made with; what was cut off is lost",
        {{"file", path.filename().string()}});
  }
  ALLOD_CHECK_OK(reader->CloseOpen());
  rings_.emplace(next_leftover_++,
                 Ring{.path = path, .reader = std::move(reader), .deed = std::move(deed), .ended = true});
  return {};
}

Result<OwnedFd> UsageCollector::Open(std::uint64_t worker_id, const std::string& replica_uid,
                                     const std::vector<usage::RingMember>& members) {
  usage::RingDeed deed{.ring_id = Uuid::V7(), .replica_uid = replica_uid, .made_us = NowMicros()};
  deed.AddMembers(members);
  const fs::path path = directory_ / (deed.ring_id.ToString() + ".ring");
  // Before the ring: one without a deed would pass for a ring of an earlier version.
  ALLOD_CHECK_OK(usage::WriteDeed(usage::DeedPath(path), deed));
  PassFaultPoint(FaultPoint::kRingDeed);
  auto file = usage::RingFile::Create(path, deed.ring_id, replica_uid);
  if (!file) {
    std::error_code ignored;
    fs::remove(usage::DeedPath(path), ignored);
    return std::unexpected(file.error());
  }
  OwnedFd for_worker(fcntl(file->fd(), F_DUPFD_CLOEXEC, 0));
  const std::lock_guard lock(mutex_);
  rings_.emplace(
      worker_id,
      Ring{.path = path, .reader = std::make_shared<usage::RingReader>(*std::move(file)), .deed = std::move(deed)});
  return for_worker;
}

void UsageCollector::AddMembers(std::uint64_t worker_id, const std::vector<usage::RingMember>& members) {
  const std::lock_guard lock(mutex_);
  const auto found = rings_.find(worker_id);
  if (found == rings_.end()) return;
  found->second.deed.AddMembers(members);
  if (const Status written = usage::WriteDeed(usage::DeedPath(found->second.path), found->second.deed); !written) {
    Log(LogLevel::kError, "who a worker answers for could not be written down", {{"error", written.error().message}});
  }
}

std::vector<UsageCollector::Lie> UsageCollector::TakeLies() {
  const std::lock_guard lock(mutex_);
  return std::exchange(lies_, {});
}

void UsageCollector::Accuse(std::uint64_t id, const std::string& lie) {
  const std::lock_guard lock(mutex_);
  if (const auto found = rings_.find(id); found != rings_.end()) AccuseLocked(id, found->second, lie);
}

void UsageCollector::AccuseLocked(std::uint64_t id, Ring& ring, const std::string& lie) {
  if (std::exchange(ring.lied, true)) return;
  Log(LogLevel::kError, "a worker's usage ring says what cannot be",
      {{"file", ring.path.filename().string()}, {"what", lie}});
  if (!ring.ended) lies_.push_back({id, lie});
}

void UsageCollector::WorkerEnded(std::uint64_t worker_id) {
  const std::lock_guard lock(mutex_);
  const auto found = rings_.find(worker_id);
  if (found == rings_.end()) return;
  Ring& ring = found->second;
  const auto was_changed = ring.reader->Restore();
  const Status closed = was_changed ? ring.reader->CloseOpen() : std::unexpected(was_changed.error());
  if (!closed) {
    Log(LogLevel::kError, "what a worker left open in its usage ring cannot be read",
        {{"file", ring.path.filename().string()}, {"error", closed.error().message}});
  }
  ring.ended = true;
  ring.pending = true;
}

std::vector<std::uint64_t> UsageCollector::RingIds() {
  const std::lock_guard lock(mutex_);
  std::vector<std::uint64_t> out;
  for (const auto& [id, ring] : rings_) out.push_back(id);
  return out;
}

void UsageCollector::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    bool reachable = true;
    const bool is_more = CollectRound(SteadyTime::max(), stop, reachable);
    if (!is_more) SleepFor(stop, reachable ? kCollectEvery : kRetryAfter);
  }
}

bool UsageCollector::CollectRound(SteadyTime until, const std::stop_token& stop, bool& reachable) {
  bool is_more = false;
  for (const std::uint64_t id : RingIds()) {
    milliseconds timeout = kCallTimeout;
    if (until != SteadyTime::max()) {
      timeout = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
    }
    if (timeout <= milliseconds(0) || stop.stop_requested()) return false;
    is_more = CollectFrom(id, timeout, reachable) || is_more;
    if (!reachable) return false;
  }
  return is_more;
}

bool UsageCollector::CollectFrom(std::uint64_t id, milliseconds timeout, bool& reachable) {
  const SteadyTime now = std::chrono::steady_clock::now();
  std::shared_ptr<usage::RingReader> reader;
  usage::RingDeed deed;
  std::set<std::uint64_t> postponed;
  {
    const std::lock_guard lock(mutex_);
    const auto found = rings_.find(id);
    if (found == rings_.end()) return false;
    Ring& ring = found->second;
    const auto was_changed = ring.reader->Restore();
    if (was_changed && *was_changed) ring.pending = true;
    if (!ring.postponed.empty() && now >= ring.retry_at) {
      ring.postponed.clear();
      ring.pending = true;
    }
    const auto closed = ring.reader->closed_total();
    if (!was_changed || !closed) return false;
    if (!ring.pending && *closed == ring.closed_seen) return false;
    if (ring.rate.IsSpent(now)) {
      ring.pending = true;
      if (ring.rate.SecondsSpent(now) < kFloodSeconds) return false;
      AccuseLocked(id, ring,
                   fmt::format("its usage ring tells of more than {} requests a second", kClosedPerSecondMax));
      return false;
    }
    ring.closed_seen = *closed;
    ring.pending = false;
    reader = ring.reader;
    deed = ring.deed;
    postponed = ring.postponed;
    if (*was_changed) AccuseLocked(id, ring, "its usage ring has another size than it was made with");
  }
  auto slots = reader->Closed(kBatchMax + postponed.size());
  if (!slots) {
    // What is in it is still to be taken when it can be read again.
    const std::lock_guard lock(mutex_);
    if (const auto found = rings_.find(id); found != rings_.end()) found->second.pending = true;
    return false;
  }
  std::erase_if(*slots, [&](const usage::SlotContent& slot) { return postponed.contains(slot.sequence); });
  if (slots->size() > kBatchMax) slots->resize(kBatchMax);
  const auto later = HandOn(id, deed, *reader, *slots, timeout);
  const std::lock_guard lock(mutex_);
  const auto found = rings_.find(id);
  if (!later) {
    // One ring that billing cannot take must not keep the others from it.
    const Code code = later.error().code;
    reachable = code != Code::kUnavailable && code != Code::kDeadlineExceeded;
    if (found != rings_.end()) found->second.pending = true;
    return false;
  }
  if (found == rings_.end()) return false;
  Ring& ring = found->second;
  ring.rate.Count(std::ssize(*slots) - std::ssize(*later), now);
  if (!later->empty()) {
    if (ring.postponed.empty()) ring.retry_at = std::chrono::steady_clock::now() + kPostponedFor;
    ring.postponed.insert(later->begin(), later->end());
  }
  if (ring.ended && reader->Empty().value_or(false)) {
    std::error_code ignored;
    fs::remove(ring.path, ignored);
    PassFaultPoint(FaultPoint::kRingRemoved);
    fs::remove(usage::DeedPath(ring.path), ignored);
    rings_.erase(found);
    return false;
  }
  ring.pending = slots->size() == kBatchMax || ring.ended;
  return ring.pending && !slots->empty();
}

std::optional<usage::UsageEvent> UsageCollector::Believe(std::uint64_t id, const usage::RingDeed& deed,
                                                         const usage::SlotContent& slot, std::int64_t now_us) {
  usage::Judgement judged = usage::Judge(slot, deed, now_us);
  if (!judged.lie.empty()) Accuse(id, judged.lie);
  return std::move(judged.event);
}

Result<std::set<std::uint64_t>> UsageCollector::HandOn(std::uint64_t id, const usage::RingDeed& deed,
                                                       usage::RingReader& reader,
                                                       const std::vector<usage::SlotContent>& slots,
                                                       milliseconds timeout) {
  const std::int64_t now = NowMicros();
  std::vector<usage::UsageEvent> events;
  std::map<std::uint64_t, std::string> ids;  // by sequence
  for (const usage::SlotContent& slot : slots) {
    auto event = Believe(id, deed, slot, now);
    if (!event) continue;
    ids[slot.sequence] = event->event_id.ToString();
    events.push_back(*std::move(event));
  }
  PassFaultPoint(FaultPoint::kUsageRead);
  ALLOD_TRY(const std::set<std::string> postponed, Record(events, timeout));
  std::set<std::uint64_t> later;
  for (const usage::SlotContent& slot : slots) {
    const auto event = ids.find(slot.sequence);
    if (event != ids.end() && postponed.contains(event->second)) {
      later.insert(slot.sequence);
    } else {
      (void)reader.Free(slot.slot);
      PassFaultPoint(FaultPoint::kUsageFreeing);
    }
  }
  return later;
}

Result<std::set<std::string>> UsageCollector::Record(const std::vector<usage::UsageEvent>& events,
                                                     milliseconds timeout) {
  if (events.empty()) return std::set<std::string>();
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
  const auto answer = CallUnary<billing::v1::ComputedUsageService::Stub, billing::v1::RecordComputedUsageRequest,
                                billing::v1::RecordComputedUsageResponse>(
      *stub_, &billing::v1::ComputedUsageService::Stub::RecordComputedUsage, request, caller_, timeout);
  ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kUsageAnswered));
  if (!answer) return std::unexpected(answer.error());
  for (const auto& refusal : answer->refusals()) {
    Log(LogLevel::kError, "billing refused a usage event",
        {{"event", refusal.event_id()}, {"reason", refusal.reason()}, {"error", refusal.message()}});
  }
  std::set<std::string> postponed(answer->postponed_event_ids().begin(), answer->postponed_event_ids().end());
  if (!postponed.empty()) {
    Log(LogLevel::kWarning, "billing postpones usage events", {{"events", std::to_string(postponed.size())}});
  }
  return postponed;
}

}  // namespace allod::inference::node
