// Billing's InstanceTimeService as the TimeSink.
#pragma once

#include <memory>
#include <string>

#include "allod/billing/v1/instance_time.grpc.pb.h"
#include "services/scheduling/instance_time/time_reporter.h"

namespace allod::scheduling::instance_time {

class GrpcTimeSink final : public TimeSink {
 public:
  explicit GrpcTimeSink(const std::string& billing_target);
  Result<Answer> Record(const std::string& tenant_name, const std::vector<TimeInterval>& intervals) override;

 private:
  const std::unique_ptr<billing::v1::InstanceTimeService::Stub> stub_;
};

}  // namespace allod::scheduling::instance_time
