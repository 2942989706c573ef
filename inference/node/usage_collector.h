// Turns the slots of usage rings into computed usage at the billing service, exactly once each.
//
// Every worker start has a ring file of its own in the usage directory. A slot is freed only when billing has
// acknowledged its event, and an event's id is the same whenever it is read, so neither a lost answer nor the death of
// any process counts anything twice or not at all. Rings of workers that are gone, also of those of an agent that was
// killed, are emptied and removed. While billing is away the rings fill; a full one makes its worker refuse requests.
//
// Rings are read in turn, a batch of each. One that is filled again faster than any worker is asked
// (kClosedPerSecondMax) waits for the next second, and after kFloodSeconds of that is a lie as well.
//
// Events that billing postpones stay in their slots and are told again after a pause; what else the ring holds does not
// wait for them.
//
// What a ring says is believed only within what its worker was asked (usage::Judge): events of others' tenants are
// dropped, numbers are cut to what the request could have cost, and the worker's lie is told to who runs it.
//
// Thread-safe; one thread of its own.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "allod/billing/v1/computed_usage.grpc.pb.h"
#include "inference/node/process/rate_bound.h"
#include "inference/usage/ring_deed.h"
#include "inference/usage/ring_reader.h"
#include "services/common/owned_fd.h"
#include "services/common/owned_thread.h"
#include "services/common/result.h"
#include "services/common/rpc/caller.h"

namespace allod::inference::node {

class UsageCollector {
 public:
  // Slots of one ring: more requests than gateways get through to one worker, refused ones included.
  static constexpr std::int64_t kClosedPerSecondMax = 4096;
  static constexpr int kFloodSeconds = 3;

  // Takes over what is in `directory`. FAILED_PRECONDITION / NO_USAGE_DIR.
  static Result<std::unique_ptr<UsageCollector>> Start(std::filesystem::path directory, std::string node_name,
                                                       std::shared_ptr<grpc::Channel> billing, Caller caller);
  ~UsageCollector();  // hands on what it can within a second; the rest stays in the files
  UsageCollector(const UsageCollector&) = delete;
  UsageCollector& operator=(const UsageCollector&) = delete;

  // A new ring for a worker and who it answers for: a descriptor of its file, for the worker. Errors of
  // RingFile::Create.
  Result<OwnedFd> Open(std::uint64_t worker_id, const std::string& replica_uid,
                       const std::vector<usage::RingMember>& members);
  // The worker answers for these from now on; what it did for earlier ones stays theirs.
  void AddMembers(std::uint64_t worker_id, const std::vector<usage::RingMember>& members);
  // The worker is gone: what it left open was lost.
  void WorkerEnded(std::uint64_t worker_id);

  struct Lie {
    std::uint64_t worker_id = 0;
    std::string what;
  };
  // What running workers' rings said that cannot be, since the last call; the first of each worker.
  std::vector<Lie> TakeLies();

 private:
  using SteadyTime = process::RateBound::SteadyTime;
  struct Ring {
    std::filesystem::path path;
    std::shared_ptr<usage::RingReader> reader;
    usage::RingDeed deed;
    bool lied = false;
    bool ended = false;
    std::uint64_t closed_seen = 0;  // nothing new while the ring says the same
    bool pending = true;
    process::RateBound rate{kClosedPerSecondMax};
    std::set<std::uint64_t> postponed;  // sequences of slots that are not told again before `retry_at`
    SteadyTime retry_at{};
  };

  UsageCollector(std::filesystem::path directory, std::string node_name, std::shared_ptr<grpc::Channel> billing,
                 Caller caller);
  Status TakeOver();
  Status TakeOver(const std::filesystem::path& path);
  void Run(const std::stop_token& stop);
  // A batch of each ring, by `until`; whether there is more of some. Billing that is away ends it.
  bool CollectRound(SteadyTime until, const std::stop_token& stop, bool& reachable);
  // One batch of one ring; whether there is more of it. False when billing did not take it.
  bool CollectFrom(std::uint64_t id, std::chrono::milliseconds timeout, bool& reachable);
  // The ids of those that are to be told again later; all others are settled.
  Result<std::set<std::string>> Record(const std::vector<usage::UsageEvent>& events, std::chrono::milliseconds timeout);
  // What a slot says, as far as it is believed.
  std::optional<usage::UsageEvent> Believe(std::uint64_t id, const usage::RingDeed& deed,
                                           const usage::SlotContent& slot, std::int64_t now_us);
  // Tells billing of a batch and frees what it took; the sequences of those that it postponed.
  Result<std::set<std::uint64_t>> HandOn(std::uint64_t id, const usage::RingDeed& deed, usage::RingReader& reader,
                                         const std::vector<usage::SlotContent>& slots,
                                         std::chrono::milliseconds timeout);
  void Accuse(std::uint64_t id, const std::string& lie);
  void AccuseLocked(std::uint64_t id, Ring& ring, const std::string& lie);
  std::vector<std::uint64_t> RingIds();

  const std::filesystem::path directory_;
  const std::string node_name_;
  const std::unique_ptr<billing::v1::ComputedUsageService::Stub> stub_;
  const Caller caller_;

  std::mutex mutex_;
  std::map<std::uint64_t, Ring> rings_;
  std::vector<Lie> lies_;
  std::uint64_t next_leftover_ = std::uint64_t{1} << 63;  // ids of rings without a worker here
  OwnedThread thread_;
};

}  // namespace allod::inference::node
