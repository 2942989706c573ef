#include "services/scheduling/instance_time/grpc_time_sink.h"

#include "services/common/rpc/client.h"
#include "services/common/rpc/timestamp.h"

namespace allod::scheduling::instance_time {
namespace {

constexpr std::chrono::seconds kTimeout{10};

}  // namespace

GrpcTimeSink::GrpcTimeSink(const std::string& billing_target)
    : stub_(billing::v1::InstanceTimeService::NewStub(MakeChannel(billing_target))) {}

Result<TimeSink::Answer> GrpcTimeSink::Record(const std::string& tenant_name,
                                              const std::vector<TimeInterval>& intervals) {
  billing::v1::RecordInstanceTimeRequest request;
  request.set_tenant(tenant_name);
  for (const TimeInterval& interval : intervals) {
    billing::v1::InstanceInterval& out = *request.add_intervals();
    out.set_replica_uid(interval.replica.ToString());
    *out.mutable_start_time() = ToTimestamp(interval.start);
    *out.mutable_until_time() = ToTimestamp(interval.until);
    out.set_instance(interval.instance);
    out.set_generation(interval.generation);
    out.set_variant(interval.variant);
    out.set_price_book(interval.price_book);
    out.set_isolation_class(interval.isolation_class);
  }
  ALLOD_TRY(const auto response, CallUnary(*stub_, &billing::v1::InstanceTimeService::Stub::RecordInstanceTime, request,
                                           Caller::Service("scheduling"), std::chrono::milliseconds(kTimeout)));
  Answer answer{.credit_used_up = response.credit_used_up()};
  for (const auto& recorded : response.recorded()) {
    Answer::One& one = answer.intervals.emplace_back();
    one.costs = recorded.costs();
    if (!recorded.reason().empty()) {
      one.refused = Error{Code::kFailedPrecondition, recorded.reason(), recorded.message()};
    }
  }
  return answer;
}

}  // namespace allod::scheduling::instance_time
