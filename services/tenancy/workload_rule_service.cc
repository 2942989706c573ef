#include "services/tenancy/workload_rule_service.h"

#include <algorithm>

#include "services/common/rpc/request_id.h"
#include "services/common/rpc/server.h"
#include "services/tenancy/convert_identity.h"
#include "services/tenancy/key_rules.h"
#include "services/tenancy/maker.h"

namespace allod::tenancy {

Status WorkloadRuleServiceImpl::CheckMaker(const WorkloadRule& rule, const Caller& caller) {
  ALLOD_TRY(const Maker maker, MakerOf(caller));
  if (!maker) return {};
  const auto key = keys_.GetApiKey(rule.tenant, rule.project, *maker);
  if (!key && key.error().code == Code::kNotFound) return std::unexpected(NoSuchMaker());
  if (!key) return std::unexpected(key.error());
  return CheckMayGrantAtLarge(*key, clock_.Now());
}

Result<WorkloadRule> WorkloadRuleServiceImpl::Check(WorkloadRule rule, const Caller& caller) {
  ALLOD_CHECK_OK(CheckMaker(rule, caller));
  ALLOD_TRY(const IdentityProvider provider, store_.GetProvider(rule.tenant, rule.provider));
  if (rule.custom_roles.empty()) return ValidRule(std::move(rule), provider.issuer, HeldBy(caller));
  ALLOD_TRY(const auto roles, store_.ReadRoles(rule.tenant));
  return ValidRule(std::move(rule), provider.issuer, HeldBy(caller), StandingRoles(roles));
}

Result<WorkloadRule> WorkloadRuleServiceImpl::JudgeCreation(const WorkloadRule& wanted) {
  // A project that is not there is NOT_FOUND here.
  ALLOD_CHECK_OK(store_.ListRules(wanted.tenant, wanted.project, {"", 1, ""}));
  ALLOD_TRY(const TenantIdentity all, store_.ReadIdentity(wanted.tenant, clock_.Now()));
  std::int64_t in_project = 0;
  for (const WorkloadRule& other : all.rules) {
    if (other.project != wanted.project) continue;
    ++in_project;
    if (other.id != wanted.id) continue;
    if (SameContent(other, wanted)) return other;
    return std::unexpected(TakenByOtherContent(wanted.name()));
  }
  ALLOD_CHECK_OK(RoomForRule(wanted, in_project, static_cast<std::int64_t>(all.rules.size())));
  return wanted;
}

Result<WorkloadRule> WorkloadRuleServiceImpl::JudgeUpdate(const WorkloadRule& wanted, const std::string& etag) {
  ALLOD_TRY(const WorkloadRule standing, store_.GetRule(wanted.tenant, wanted.project, wanted.id));
  ALLOD_CHECK_OK(CheckEtag("workload_rule", wanted.name(), EtagOf(standing), etag));
  WorkloadRule out = wanted;
  out.uid = standing.uid;
  out.create_time = standing.create_time;
  out.version = standing.version;
  return out;
}

grpc::Status WorkloadRuleServiceImpl::CreateWorkloadRule(grpc::ServerContext* context,
                                                         const v1::CreateWorkloadRuleRequest* request,
                                                         v1::WorkloadRule* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::WorkloadRule> {
    ALLOD_TRY(WorkloadRule wanted, RuleFromRequest(*request, clock_.Now()));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      ALLOD_TRY(wanted, Check(std::move(wanted), call.principal));
      ALLOD_TRY(const WorkloadRule judged, JudgeCreation(wanted));
      return ToProto(judged);
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const WorkloadRule made, InTurn(gates_.writes, call, [&]() -> Result<WorkloadRule> {
                ALLOD_TRY(wanted, Check(std::move(wanted), call.principal));
                return store_.CreateRule(wanted, request_id);
              }));
    gateways_.AwaitInForce(*context, made.tenant, made.version);
    return ToProto(made);
  });
}

grpc::Status WorkloadRuleServiceImpl::GetWorkloadRule(grpc::ServerContext* context,
                                                      const v1::GetWorkloadRuleRequest* request,
                                                      v1::WorkloadRule* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::WorkloadRule> {
    ALLOD_TRY(const RuleName name, RuleNameOf("name", request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const WorkloadRule rule, store_.GetRule(name.tenant, name.project, name.id));
    return ToProto(rule);
  });
}

grpc::Status WorkloadRuleServiceImpl::ListWorkloadRules(grpc::ServerContext* context,
                                                        const v1::ListWorkloadRulesRequest* request,
                                                        v1::ListWorkloadRulesResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListWorkloadRulesResponse> {
    ALLOD_TRY(const auto parts, MatchName("parent", request->parent(), "tenants/*/projects/*"));
    ALLOD_TRY(const PageRequest page,
              ParsePage(request->parent() + "/workloadRules", request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const auto rules, store_.ListRules(parts[0], parts[1], page));
    v1::ListWorkloadRulesResponse out;
    for (const WorkloadRule& rule : rules.items) *out.add_workload_rules() = ToProto(rule);
    out.set_next_page_token(rules.next_page_token);
    return out;
  });
}

grpc::Status WorkloadRuleServiceImpl::UpdateWorkloadRule(grpc::ServerContext* context,
                                                         const v1::UpdateWorkloadRuleRequest* request,
                                                         v1::WorkloadRule* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::WorkloadRule> {
    ALLOD_TRY(WorkloadRule wanted, RuleFromRequest(*request));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    const std::string& etag = request->workload_rule().etag();
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      ALLOD_TRY(wanted, Check(std::move(wanted), call.principal));
      ALLOD_TRY(const WorkloadRule judged, JudgeUpdate(wanted, etag));
      return ToProto(judged);
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const WorkloadRule changed, InTurn(gates_.writes, call, [&]() -> Result<WorkloadRule> {
                ALLOD_TRY(wanted, Check(std::move(wanted), call.principal));
                return store_.UpdateRule(wanted, etag, request_id);
              }));
    gateways_.AwaitInForce(*context, changed.tenant, changed.version);
    return ToProto(changed);
  });
}

grpc::Status WorkloadRuleServiceImpl::DeleteWorkloadRule(grpc::ServerContext* context,
                                                         const v1::DeleteWorkloadRuleRequest* request,
                                                         google::protobuf::Empty* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<google::protobuf::Empty> {
    ALLOD_TRY(const RuleName name, RuleNameOf("name", request->name()));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.mutations, call));
    ALLOD_TRY(const std::int64_t version, InTurn(gates_.writes, call, [&] {
                return store_.DeleteRule(name.tenant, name.project, name.id, request_id);
              }));
    gateways_.AwaitInForce(*context, name.tenant, version);
    return google::protobuf::Empty();
  });
}

}  // namespace allod::tenancy
