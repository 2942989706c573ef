#include "services/billing/payouts/payout_service.h"

#include "services/billing/convert_invoice.h"
#include "services/billing/payouts/convert_payout.h"
#include "services/billing/payouts/payout_documents.h"
#include "services/common/digest.h"
#include "services/common/log.h"
#include "services/common/page_token.h"
#include "services/common/rpc/server.h"

namespace allod::billing::payouts {
namespace {

constexpr std::size_t kDocumentBytesMax = 1 << 20;

}  // namespace

grpc::Status PayoutServiceImpl::SetRevenueShare(grpc::ServerContext* context, const v1::SetRevenueShareRequest* request,
                                                v1::RevenueShare* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::RevenueShare> {
    ALLOD_TRY(const RevenueShare share, FromProto(request->revenue_share()));
    ALLOD_TRY(const RevenueShare stored, store_.SetRevenueShare(share));
    // Of no tenant, so no audit log has it; its versions do.
    Log(LogLevel::kWarning, "a revenue share is in force",
        {{"listing", stored.listing},
         {"version", std::to_string(stored.version)},
         {"publisher", stored.publisher},
         {"basis_points", std::to_string(stored.basis_points)},
         {"session", call.principal.session}});
    return ToProto(stored);
  });
}

grpc::Status PayoutServiceImpl::ListRevenueShares(grpc::ServerContext* context,
                                                  const v1::ListRevenueSharesRequest* request,
                                                  v1::ListRevenueSharesResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListRevenueSharesResponse> {
    ALLOD_TRY(const PageRequest page, ParsePage("revenue shares", request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(auto shares, store_.ListRevenueShares(page.after, page.size + 1));
    const auto listed = MakePage(page, std::move(shares), [](const RevenueShare& share) { return share.listing; });
    v1::ListRevenueSharesResponse out;
    for (const RevenueShare& share : listed.items) *out.add_revenue_shares() = ToProto(share);
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

grpc::Status PayoutServiceImpl::FinalisePayout(grpc::ServerContext* context, const v1::FinalisePayoutRequest* request,
                                               v1::Payout* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::Payout> {
    ALLOD_TRY(const PayoutKey key, ParsePayoutName(request->name(), clock_.Now()));
    ALLOD_TRY(const std::string entity, LegalEntityId("legal_entity", request->legal_entity()));
    ALLOD_TRY(const Payout payout, store_.FinalisePayout(key, entity, clock_.Now()));
    return ToProto(payout);
  });
}

grpc::Status PayoutServiceImpl::GetPayout(grpc::ServerContext* context, const v1::GetPayoutRequest* request,
                                          v1::Payout* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Payout> {
    ALLOD_TRY(const PayoutKey key, ParsePayoutName(request->name(), clock_.Now()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Payout payout, store_.GetPayout(key));
    return ToProto(payout);
  });
}

grpc::Status PayoutServiceImpl::ListPayouts(grpc::ServerContext* context, const v1::ListPayoutsRequest* request,
                                            v1::ListPayoutsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListPayoutsResponse> {
    ALLOD_TRY(const PageRequest page, ParsePage("payouts", request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    ALLOD_TRY(auto payouts, store_.ListPayouts(page.after, page.size + 1));
    const auto listed = MakePage(page, std::move(payouts), [](const Payout& payout) { return SortKey(payout.key); });
    v1::ListPayoutsResponse out;
    for (const Payout& payout : listed.items) *out.add_payouts() = ToProto(payout);
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

grpc::Status PayoutServiceImpl::GetPayoutDocument(grpc::ServerContext* context,
                                                  const v1::GetPayoutDocumentRequest* request,
                                                  v1::InvoiceDocument* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::InvoiceDocument> {
    ALLOD_TRY(const PayoutKey key, ParsePayoutName(request->name(), clock_.Now()));
    if (request->format() != v1::DOCUMENT_FORMAT_CSV && request->format() != v1::DOCUMENT_FORMAT_PDF) {
      return InvalidArgument("INVALID_FORMAT", "format: say which: CSV or PDF");
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.typesetting, call));
    ALLOD_TRY(const Payout payout, store_.GetPayout(key));
    documents::Document document;
    if (request->format() == v1::DOCUMENT_FORMAT_CSV) {
      ALLOD_TRY(document, MakeCsv(payout));
    } else {
      ALLOD_TRY(const typesetting::Sheet sheet, SheetOf(payout));
      ALLOD_TRY(document.content, typesetter_.Typeset(sheet));
      document.media_type = "application/pdf";
      document.file_name = payout.number + ".pdf";
    }
    if (document.content.size() > kDocumentBytesMax) {
      return Fail(Code::kOutOfRange, "DOCUMENT_TOO_LONG", "the file has more than 1 MiB");
    }
    v1::InvoiceDocument out;
    out.set_sha256(Sha256Hex(document.content));
    out.set_size_bytes(static_cast<std::int64_t>(document.content.size()));
    out.set_content(std::move(document.content));
    out.set_media_type(document.media_type);
    out.set_file_name(document.file_name);
    return out;
  });
}

grpc::Status PayoutServiceImpl::RecordPayoutPayment(grpc::ServerContext* context,
                                                    const v1::RecordPayoutPaymentRequest* request,
                                                    v1::Payout* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::Payout> {
    ALLOD_TRY(const PayoutKey key, ParsePayoutName(request->name(), clock_.Now()));
    const Payment payment{.paid_on = request->paid_on(), .reference = request->reference()};
    ALLOD_CHECK_OK(CheckPayment(payment, clock_.Now()));
    ALLOD_TRY(const Payout payout, store_.RecordPayment(key, payment));
    return ToProto(payout);
  });
}

}  // namespace allod::billing::payouts
