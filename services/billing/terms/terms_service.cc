#include "services/billing/terms/terms_service.h"

#include <charconv>

#include "services/billing/terms/convert_terms.h"
#include "services/common/page_token.h"
#include "services/common/rpc/server.h"

namespace allod::billing::terms {

grpc::Status PriceTermsServiceImpl::SetPriceTerms(grpc::ServerContext* context, const v1::SetPriceTermsRequest* request,
                                                  v1::AgreedTerms* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::AgreedTerms> {
    const Time now = clock_.Now();
    ALLOD_TRY(const Terms terms, FromProto(request->price_terms(), now));
    ALLOD_TRY(const RequestId id, RequestIdOf(*request, terms));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Terms stored, request->validate_only() ? store_.Preview(terms, now) : store_.Set(terms, id, now));
    return ToProto(stored);
  });
}

grpc::Status PriceTermsServiceImpl::GetPriceTerms(grpc::ServerContext* context, const v1::GetPriceTermsRequest* request,
                                                  v1::AgreedTerms* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::AgreedTerms> {
    ALLOD_TRY(const TermsName name, ParseTermsName("name", request->name()));
    ALLOD_TRY(const InvoicePeriod current, ParsePeriod("current", clock_.Now()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Terms terms, store_.Get(name.tenant, name.version, current.start));
    return ToProto(terms);
  });
}

grpc::Status PriceTermsServiceImpl::ListPriceTerms(grpc::ServerContext* context,
                                                   const v1::ListPriceTermsRequest* request,
                                                   v1::ListPriceTermsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListPriceTermsResponse> {
    ALLOD_CHECK_OK(MatchName("parent", request->parent(), "tenants/*"));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(request->parent()));
    ALLOD_TRY(const PageRequest page,
              ParsePage("price terms of " + request->parent(), request->page_size(), request->page_token()));
    // A token is of a page that was given; what is none of a version begins with the newest.
    std::int32_t before = 0;
    std::from_chars(page.after.data(), page.after.data() + page.after.size(), before);
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(auto versions, store_.List(tenant, before, page.size + 1));
    const auto listed =
        MakePage(page, std::move(versions), [](const Terms& terms) { return std::to_string(terms.version); });
    v1::ListPriceTermsResponse out;
    for (const Terms& terms : listed.items) *out.add_price_terms() = ToProto(terms);
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

}  // namespace allod::billing::terms
