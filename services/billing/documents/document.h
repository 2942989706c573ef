// Files that are made of an issued invoice or credit note.
//
// Pure functions from the document's value to bytes: no clock, no locale, nothing of the machine, so that whenever one
// is made again it is the same to the last byte. Before anything is made the sums are checked once more (CheckTotals).
// Whatever people typed is escaped for the format.
#pragma once

#include <string>
#include <string_view>

#include "services/billing/invoice.h"

namespace allod::billing::documents {

// kPdf is not made here but by PdfDocuments (pdf_documents.h).
enum class Format { kCsv = 1, kFocus, kUbl, kHtml, kPdf };

struct Document {
  std::string content;
  std::string media_type;
  std::string file_name;  // of letters, digits, '-' and '.'
};

// `language`: of a page for people (words.h); empty for English. INTERNAL / INVOICE_ARITHMETIC; INVALID_ARGUMENT /
// UNKNOWN_LANGUAGE; FAILED_PRECONDITION / UBL_CURRENCY: EN 16931 has no amounts of more than two decimals.
Result<Document> Render(const IssuedInvoice& invoice, Format format, std::string_view language);

// The document's number as the name of a file: numbers have '/' in some countries.
std::string FileName(const IssuedInvoice& invoice, std::string_view ending);

}  // namespace allod::billing::documents
