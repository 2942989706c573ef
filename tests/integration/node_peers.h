// Small gRPC servers that stand where the node agent's peers stand, in this process: tests say what is desired, which
// jobs there are and which files the catalog has, and see what the agent reported.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "allod/billing/v1/computed_usage.grpc.pb.h"
#include "allod/catalog/v1/artifact.grpc.pb.h"
#include "allod/catalog/v1/job.grpc.pb.h"
#include "allod/scheduling/v1/node.grpc.pb.h"
#include "services/common/digest.h"
#include "services/common/rpc/server.h"

namespace allod::inference::node {

inline constexpr auto kPatience = std::chrono::seconds(60);

// Says what is desired and remembers the newest report.
class SchedulingPeer final : public scheduling::v1::NodeAgentService::Service {
 public:
  void Desire(std::vector<scheduling::v1::Assignment> assignments) {
    const std::lock_guard lock(mutex_);
    desired_.clear_assignments();
    for (auto& a : assignments) *desired_.add_assignments() = std::move(a);
    ++revision_;
    changed_.notify_all();
  }

  // Waits for a report that `check` likes; false when none comes in time.
  bool WaitForReport(const std::function<bool(const scheduling::v1::ReportWorkersRequest&)>& check) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return report_ && check(*report_); });
  }
  bool WaitForNone() {
    return WaitForReport([](const auto& report) { return report.workers_size() == 0; });
  }
  // As if nothing had been reported yet.
  void Forget() {
    const std::lock_guard lock(mutex_);
    report_.reset();
  }
  scheduling::v1::ReportWorkersRequest report() {
    const std::lock_guard lock(mutex_);
    return report_.value_or(scheduling::v1::ReportWorkersRequest());
  }
  std::optional<scheduling::v1::WatchAssignmentsRequest> joined() {
    const std::lock_guard lock(mutex_);
    return joined_;
  }

  grpc::Status WatchAssignments(grpc::ServerContext* context, const scheduling::v1::WatchAssignmentsRequest* request,
                                grpc::ServerWriter<scheduling::v1::WatchAssignmentsResponse>* writer) override {
    return HandleStream(context, request, [&](const Call&) -> Status {
      int sent = -1;
      std::unique_lock lock(mutex_);
      joined_ = *request;
      while (!context->IsCancelled()) {
        if (sent != revision_) {
          sent = revision_;
          writer->Write(desired_);
        }
        changed_.wait_for(lock, std::chrono::milliseconds(20), [&] { return sent != revision_; });
      }
      return {};
    });
  }

  grpc::Status ReportWorkers(grpc::ServerContext* context, const scheduling::v1::ReportWorkersRequest* request,
                             scheduling::v1::ReportWorkersResponse* response) override {
    return Handle(context, request, response, [&](const Call&) -> Result<scheduling::v1::ReportWorkersResponse> {
      const std::lock_guard lock(mutex_);
      report_ = *request;
      changed_.notify_all();
      return scheduling::v1::ReportWorkersResponse();
    });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  scheduling::v1::WatchAssignmentsResponse desired_;
  int revision_ = 0;
  std::optional<scheduling::v1::WatchAssignmentsRequest> joined_;
  std::optional<scheduling::v1::ReportWorkersRequest> report_;
};

// What the node computed, by event id.
class ComputedUsagePeer final : public billing::v1::ComputedUsageService::Service {
 public:
  grpc::Status RecordComputedUsage(grpc::ServerContext*, const billing::v1::RecordComputedUsageRequest* request,
                                   billing::v1::RecordComputedUsageResponse*) override {
    const std::lock_guard lock(mutex_);
    for (const auto& event : request->events()) events_[event.event_id()] = event;
    changed_.notify_all();
    return grpc::Status::OK;
  }

  // All there is once there are `count`; fewer when they do not come.
  std::vector<billing::v1::ComputedUsage> WaitForEvents(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [&] { return events_.size() >= count; });
    std::vector<billing::v1::ComputedUsage> out;
    for (const auto& [id, event] : events_) out.push_back(event);
    return out;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, billing::v1::ComputedUsage> events_;
};

// Files in memory, by digest.
class ArtifactPeer final : public catalog::v1::ArtifactService::Service {
 public:
  std::string Put(const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    const std::string sha256 = Sha256Hex(bytes);
    files_[sha256] = bytes;
    return sha256;
  }
  std::optional<std::string> Get(const std::string& sha256) {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(sha256);
    return found == files_.end() ? std::nullopt : std::optional(found->second);
  }

  grpc::Status ReadArtifact(grpc::ServerContext*, const catalog::v1::ReadArtifactRequest* request,
                            grpc::ServerWriter<catalog::v1::ReadArtifactResponse>* writer) override {
    const auto file = Get(request->sha256());
    if (!file) return ToGrpc({Code::kNotFound, "NOT_FOUND", "no such artifact"});
    catalog::v1::ReadArtifactResponse response;
    for (std::size_t at = 0; at < file->size(); at += 100'000) {
      response.set_data(file->substr(at, 100'000));
      if (!writer->Write(response)) break;
    }
    return grpc::Status::OK;
  }

  grpc::Status UploadArtifact(grpc::ServerContext*, grpc::ServerReader<catalog::v1::UploadArtifactRequest>* reader,
                              catalog::v1::Artifact* response) override {
    catalog::v1::UploadArtifactRequest request;
    if (!reader->Read(&request) || !request.has_header()) return {grpc::StatusCode::INVALID_ARGUMENT, "no header"};
    *response = request.header();
    if (Get(response->sha256())) return grpc::Status::OK;
    std::string bytes;
    while (reader->Read(&request)) bytes += request.data();
    if (Sha256Hex(bytes) != response->sha256()) return {grpc::StatusCode::INVALID_ARGUMENT, "another file"};
    Put(bytes);
    return grpc::Status::OK;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> files_;
};

// Gives out one job at a time and keeps its answer.
class JobPeer final : public catalog::v1::JobService::Service {
 public:
  // Waits for the job's end; nothing when it does not come.
  std::optional<catalog::v1::FinishJobRequest> Do(catalog::v1::Job job) {
    std::unique_lock lock(mutex_);
    job.set_name("jobs/01900000-0000-7000-8000-00000000000a");
    job.set_epoch(++epoch_);
    finished_.reset();
    reports_.clear();
    waiting_ = std::move(job);
    changed_.notify_all();
    changed_.wait_for(lock, kPatience, [&] { return finished_.has_value(); });
    return finished_;
  }
  std::vector<catalog::v1::ReportJobRequest> reports() {
    const std::lock_guard lock(mutex_);
    return reports_;
  }

  grpc::Status LeaseJob(grpc::ServerContext* context, const catalog::v1::LeaseJobRequest*,
                        catalog::v1::LeaseJobResponse* response) override {
    std::unique_lock lock(mutex_);
    while (!waiting_ && !context->IsCancelled()) changed_.wait_for(lock, std::chrono::milliseconds(20));
    if (!waiting_) return grpc::Status::CANCELLED;
    *response->mutable_job() = *std::exchange(waiting_, std::nullopt);
    response->mutable_lease()->set_seconds(3);
    return grpc::Status::OK;
  }
  grpc::Status ReportJob(grpc::ServerContext*, const catalog::v1::ReportJobRequest* request,
                         catalog::v1::ReportJobResponse*) override {
    const std::lock_guard lock(mutex_);
    reports_.push_back(*request);
    return grpc::Status::OK;
  }
  grpc::Status FinishJob(grpc::ServerContext*, const catalog::v1::FinishJobRequest* request,
                         catalog::v1::FinishJobResponse*) override {
    const std::lock_guard lock(mutex_);
    finished_ = *request;
    changed_.notify_all();
    return grpc::Status::OK;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t epoch_ = 0;
  std::optional<catalog::v1::Job> waiting_;
  std::vector<catalog::v1::ReportJobRequest> reports_;
  std::optional<catalog::v1::FinishJobRequest> finished_;
};

}  // namespace allod::inference::node
