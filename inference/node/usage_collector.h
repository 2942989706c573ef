// Turns the slots of usage rings into computed usage at the billing service, exactly once each.
//
// Every worker start has a ring file of its own in the usage directory. A slot is freed only when billing has
// acknowledged its event, and an event's id is the same whenever it is read, so neither a lost answer nor the death of
// any process counts anything twice or not at all. Rings of workers that are gone, also of those of an agent that was
// killed, are emptied and removed. While billing is away the rings fill; a full one makes its worker refuse requests.
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
#include <string>
#include <thread>

#include "allod/billing/v1/computed_usage.grpc.pb.h"
#include "inference/usage/ring_reader.h"
#include "services/common/result.h"
#include "services/common/rpc/caller.h"

namespace allod::inference::node {

class UsageCollector {
 public:
  // Takes over what is in `directory`. FAILED_PRECONDITION / NO_USAGE_DIR.
  static Result<std::unique_ptr<UsageCollector>> Start(std::filesystem::path directory, std::string node_name,
                                                       std::shared_ptr<grpc::Channel> billing, Caller caller);
  ~UsageCollector();  // hands on what it can within a second; the rest stays in the files
  UsageCollector(const UsageCollector&) = delete;
  UsageCollector& operator=(const UsageCollector&) = delete;

  // A new ring for a worker; its file's path. Errors of RingMapping::CreateFile.
  Result<std::filesystem::path> Open(std::uint64_t worker_id, const std::string& replica_uid);
  // The worker is gone: what it left open was lost.
  void WorkerEnded(std::uint64_t worker_id);

 private:
  struct Ring {
    std::filesystem::path path;
    std::shared_ptr<usage::RingReader> reader;
    bool ended = false;
    std::uint64_t closed_seen = 0;  // nothing new while the ring says the same
    bool pending = true;
  };

  UsageCollector(std::filesystem::path directory, std::string node_name, std::shared_ptr<grpc::Channel> billing,
                 Caller caller);
  Status TakeOver();
  void Run(std::stop_token stop);
  // One batch of one ring; false when there was nothing, or billing did not take it.
  bool CollectFrom(std::uint64_t id, std::chrono::milliseconds timeout, bool& reachable);
  Status Record(usage::RingReader& reader, const std::vector<usage::UsageEvent>& events,
                std::chrono::milliseconds timeout);
  std::vector<std::uint64_t> RingIds();

  const std::filesystem::path directory_;
  const std::string node_name_;
  const std::unique_ptr<billing::v1::ComputedUsageService::Stub> stub_;
  const Caller caller_;

  std::mutex mutex_;
  std::map<std::uint64_t, Ring> rings_;
  std::uint64_t next_leftover_ = std::uint64_t{1} << 63;  // ids of rings without a worker here
  std::jthread thread_;
};

}  // namespace allod::inference::node
