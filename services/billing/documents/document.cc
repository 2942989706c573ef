#include "services/billing/documents/document.h"

#include <fmt/format.h>

#include "services/billing/documents/formats.h"
#include "services/billing/documents/text.h"

namespace allod::billing::documents {

std::string FileName(const IssuedInvoice& invoice, std::string_view ending) {
  std::string out = invoice.number;
  for (char& c : out) {
    if (c == '/') c = '-';
  }
  return fmt::format("{}{}", out, ending);
}

Result<Document> Render(const IssuedInvoice& invoice, Format format, std::string_view language) {
  ALLOD_CHECK_OK(CheckTotals(invoice));
  ALLOD_TRY(const int decimals, MinorUnitDecimals("currency_code", invoice.currency_code));
  ALLOD_TRY(const Words* words, WordsIn(language));
  switch (format) {
    case Format::kCsv:
      return Document{MakeCsv(invoice, decimals), "text/csv; charset=utf-8; header=present", FileName(invoice, ".csv")};
    case Format::kFocus:
      return Document{MakeFocus(invoice, decimals), "text/csv; charset=utf-8; header=present",
                      FileName(invoice, ".focus.csv")};
    case Format::kUbl:
      if (decimals > 2) {
        return FailedPrecondition("UBL_CURRENCY",
                                  fmt::format("{} has {} decimals, and EN 16931 has amounts of two at most; take "
                                              "another format",
                                              invoice.currency_code, decimals));
      }
      return Document{MakeUbl(invoice, decimals), "application/xml", FileName(invoice, ".xml")};
    case Format::kHtml:
      return Document{MakeHtml(invoice, decimals, *words), "text/html; charset=utf-8", FileName(invoice, ".html")};
    case Format::kPdf:
      break;
  }
  return Internal("no such format");
}

}  // namespace allod::billing::documents
