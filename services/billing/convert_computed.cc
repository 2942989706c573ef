#include "services/billing/convert_computed.h"

#include <fmt/format.h>

#include <charconv>

#include "services/common/rpc/timestamp.h"

namespace allod::billing {
namespace {

Result<ComputedOutcome> OutcomeFrom(v1::ComputedOutcome outcome) {
  switch (outcome) {
    case v1::COMPUTED_OUTCOME_COMPLETED:
      return ComputedOutcome::kCompleted;
    case v1::COMPUTED_OUTCOME_CANCELLED:
      return ComputedOutcome::kCancelled;
    case v1::COMPUTED_OUTCOME_FAILED:
      return ComputedOutcome::kFailed;
    case v1::COMPUTED_OUTCOME_LOST:
      return ComputedOutcome::kLost;
    default:
      return InvalidArgument("INVALID_EVENT", fmt::format("outcome: {} is not known", static_cast<int>(outcome)));
  }
}

v1::ComputedOutcome OutcomeOf(ComputedOutcome outcome) {
  switch (outcome) {
    case ComputedOutcome::kCompleted:
      return v1::COMPUTED_OUTCOME_COMPLETED;
    case ComputedOutcome::kCancelled:
      return v1::COMPUTED_OUTCOME_CANCELLED;
    case ComputedOutcome::kFailed:
      return v1::COMPUTED_OUTCOME_FAILED;
    case ComputedOutcome::kLost:
      return v1::COMPUTED_OUTCOME_LOST;
  }
  return v1::COMPUTED_OUTCOME_UNSPECIFIED;
}

}  // namespace

Result<ComputedUsage> FromProto(const v1::ComputedUsage& event, const std::string& node) {
  ComputedUsage out;
  out.event_id = event.event_id();
  ALLOD_TRY(out.request_id, Uuid::Parse(event.request_id()));
  ALLOD_TRY(out.tenant.value, Uuid::Parse(event.tenant_uid()));
  ALLOD_TRY(out.replica, Uuid::Parse(event.replica_uid()));
  ALLOD_CHECK_OK(MatchName("instance", event.instance(), "tenants/*/projects/*/instances/*"));
  if (event.node() != node) {
    return InvalidArgument("INVALID_EVENT", fmt::format("node: {} may not tell of {}", node, event.node()));
  }
  out.instance = event.instance();
  out.node = event.node();
  out.prompt_tokens_computed = event.prompt_tokens_computed();
  out.prompt_tokens_cached = event.prompt_tokens_cached();
  out.sampled_tokens = event.sampled_tokens();
  ALLOD_TRY(out.outcome, OutcomeFrom(event.outcome()));
  if (!event.has_start_time() || !event.has_end_time()) {
    return InvalidArgument("INVALID_EVENT", "start_time, end_time: are required");
  }
  ALLOD_TRY(out.start_time, TimeFrom("start_time", event.start_time()));
  ALLOD_TRY(out.end_time, TimeFrom("end_time", event.end_time()));
  ALLOD_CHECK_OK(CheckComputedUsage(out));
  return out;
}

v1::ComputedUsage ToProto(const ComputedUsage& event) {
  v1::ComputedUsage out;
  out.set_event_id(event.event_id);
  out.set_request_id(event.request_id.ToString());
  out.set_tenant_uid(event.tenant.ToString());
  out.set_instance(event.instance);
  out.set_node(event.node);
  out.set_replica_uid(event.replica.ToString());
  out.set_prompt_tokens_computed(event.prompt_tokens_computed);
  out.set_prompt_tokens_cached(event.prompt_tokens_cached);
  out.set_sampled_tokens(event.sampled_tokens);
  out.set_outcome(OutcomeOf(event.outcome));
  *out.mutable_start_time() = ToTimestamp(event.start_time);
  *out.mutable_end_time() = ToTimestamp(event.end_time);
  return out;
}

std::string PageKeyOf(const ComputedUsage& event) {
  const auto micros = std::chrono::floor<std::chrono::microseconds>(event.start_time.time_since_epoch()).count();
  return fmt::format("{}/{}", micros, event.event_id);
}

Result<ComputedPage> FromProto(const v1::ListComputedUsageRequest& request, const std::string& project) {
  ALLOD_CHECK_OK(MatchName("parent", request.parent(), "tenants/*"));
  ComputedPage out;
  out.query.project = project;
  ALLOD_TRY(out.query.tenant, TenantId::FromName(request.parent()));
  if (request.has_start_time()) {
    ALLOD_TRY(out.query.start, TimeFrom("start_time", request.start_time()));
  }
  if (request.has_end_time()) {
    ALLOD_TRY(out.query.end, TimeFrom("end_time", request.end_time()));
  }
  out.query.instance = request.instance();
  if (!request.request_id().empty()) {
    ALLOD_TRY(out.query.request_id, Uuid::Parse(request.request_id()));
  }
  const std::string list =
      fmt::format("computed usage of {} {} {} {}", request.parent(), project, request.instance(), request.request_id());
  ALLOD_TRY(out.page, ParsePage(list, request.page_size(), request.page_token()));
  out.query.limit = out.page.size + 1;
  if (out.page.after.empty()) return out;
  const auto slash = out.page.after.find('/');
  std::int64_t micros = 0;
  const char* end = out.page.after.data() + std::min(slash, out.page.after.size());
  const auto [at, error] = std::from_chars(out.page.after.data(), end, micros);
  if (slash == std::string::npos || error != std::errc() || at != end) {
    return InvalidArgument("INVALID_PAGE_TOKEN", "page_token: is not of this list");
  }
  out.query.before = ComputedQuery::Key{Time(std::chrono::microseconds(micros)), out.page.after.substr(slash + 1)};
  return out;
}

Result<TimeRange> FromProto(const v1::CheckUsageRequest& request) {
  TimeRange out;
  if (!request.has_start_time() || !request.has_end_time()) {
    return InvalidArgument("INVALID_TIME_RANGE", "start_time, end_time: both are required");
  }
  ALLOD_TRY(out.start, TimeFrom("start_time", request.start_time()));
  ALLOD_TRY(out.end, TimeFrom("end_time", request.end_time()));
  if (out.start < out.end) return out;
  return InvalidArgument("INVALID_TIME_RANGE", "end_time: must lie after start_time");
}

v1::CheckUsageResponse::Finding ToProto(const UsageFinding& finding, const std::string& tenant_name) {
  v1::CheckUsageResponse::Finding out;
  out.set_kind(static_cast<v1::CheckUsageResponse::Finding::Kind>(finding.kind));
  out.set_usage_record(fmt::format("{}/usageRecords/{}", tenant_name, finding.request_id.ToString()));
  out.set_instance(finding.instance);
  out.set_completion_tokens(finding.completion_tokens);
  out.set_sampled_tokens(finding.sampled_tokens);
  return out;
}

void FillCounts(const UsageCheck& check, v1::CheckUsageResponse& out) {
  out.set_usage_record_count(check.usage_record_count);
  out.set_computed_event_count(check.computed_event_count);
  out.set_computed_request_count(check.computed_request_count);
  out.set_overbilled_count(check.overbilled_count);
  out.set_unbilled_count(check.unbilled_count);
  out.set_uncomputed_count(check.uncomputed_count);
  out.set_open_count(check.open_count);
  out.set_unsettled_count(check.unsettled_count);
  out.set_unreported_count(check.unreported_count);
  out.set_completion_tokens(check.completion_tokens);
  out.set_sampled_tokens(check.sampled_tokens);
}

}  // namespace allod::billing
