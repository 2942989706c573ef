#include "services/billing/legal_entity_service.h"

#include "services/billing/convert_invoice.h"
#include "services/common/log.h"
#include "services/common/page_token.h"
#include "services/common/rpc/server.h"

namespace allod::billing {
namespace {

// They are of no tenant, so no audit log has them: where to pay does not change without a trace.
void LogChange(const Caller& by, const Result<LegalEntity>& before, const LegalEntity& after) {
  const std::string changes = ChangesOf(before.value_or(LegalEntity()), after);
  if (changes.empty()) return;
  Log(LogLevel::kWarning, before ? "a legal entity was changed" : "a legal entity was made",
      {{"legal_entity", after.id}, {"changes", changes}, {"session", by.session}});
}

}  // namespace

grpc::Status LegalEntityServiceImpl::SetLegalEntity(grpc::ServerContext* context,
                                                    const v1::SetLegalEntityRequest* request,
                                                    v1::LegalEntity* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::LegalEntity> {
    ALLOD_TRY(const LegalEntity entity, FromProto(request->legal_entity()));
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      const auto stored = store_.GetLegalEntity(entity.id);
      if (!stored && stored.error().code != Code::kNotFound) return std::unexpected(stored.error());
      if (stored) ALLOD_CHECK_OK(CheckSamePrefixes(*stored, entity));
      return ToProto(entity);
    }
    const auto before = store_.GetLegalEntity(entity.id);
    if (!before && before.error().code != Code::kNotFound) return std::unexpected(before.error());
    ALLOD_TRY(const LegalEntity stored, store_.SetLegalEntity(entity, clock_.Now()));
    LogChange(call.principal, before, stored);
    return ToProto(stored);
  });
}

grpc::Status LegalEntityServiceImpl::GetLegalEntity(grpc::ServerContext* context,
                                                    const v1::GetLegalEntityRequest* request,
                                                    v1::LegalEntity* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::LegalEntity> {
    ALLOD_TRY(const std::string id, LegalEntityId("name", request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const LegalEntity entity, store_.GetLegalEntity(id));
    return ToProto(entity);
  });
}

grpc::Status LegalEntityServiceImpl::ListLegalEntities(grpc::ServerContext* context,
                                                       const v1::ListLegalEntitiesRequest* request,
                                                       v1::ListLegalEntitiesResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListLegalEntitiesResponse> {
    ALLOD_TRY(const PageRequest page, ParsePage("legal entities", request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(auto entities, store_.ListLegalEntities(page.after, page.size + 1));
    const auto listed = MakePage(page, std::move(entities), [](const LegalEntity& entity) { return entity.id; });
    v1::ListLegalEntitiesResponse out;
    for (const LegalEntity& entity : listed.items) *out.add_legal_entities() = ToProto(entity);
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

}  // namespace allod::billing
