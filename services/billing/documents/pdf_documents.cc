#include "services/billing/documents/pdf_documents.h"

#include "services/billing/documents/sheet.h"
#include "services/billing/documents/text.h"
#include "services/billing/documents/words.h"

namespace allod::billing::documents {
namespace {

Document PdfOf(const IssuedInvoice& invoice, std::string content) {
  return {std::move(content), "application/pdf", FileName(invoice, ".pdf")};
}

}  // namespace

Result<std::optional<Document>> PdfDocuments::Find(const IssuedInvoice& invoice, std::string_view language) {
  ALLOD_TRY(const Words* words, WordsIn(language));
  ALLOD_TRY(auto kept, files_.FindFile({invoice.tenant, invoice.id, std::string(words->language)}));
  if (!kept) return std::nullopt;
  return PdfOf(invoice, *std::move(kept));
}

Result<Document> PdfDocuments::Make(const IssuedInvoice& invoice, std::string_view language) {
  ALLOD_CHECK_OK(CheckTotals(invoice));
  ALLOD_TRY(const Words* words, WordsIn(language));
  ALLOD_TRY(const int decimals, MinorUnitDecimals("currency_code", invoice.currency_code));
  ALLOD_TRY(const typesetting::Sheet sheet, SheetOf(invoice, decimals, *words));
  ALLOD_TRY(const std::string made, typesetter_.Typeset(sheet));
  ALLOD_TRY(std::string kept, files_.KeepFile({invoice.tenant, invoice.id, std::string(words->language)}, made));
  return PdfOf(invoice, std::move(kept));
}

}  // namespace allod::billing::documents
