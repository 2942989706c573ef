// PDF of an issued invoice or credit note: made when it is first asked for, kept, and the same bytes from then on,
// whatever fonts and libraries are installed later. Thread-safe; borrows the typesetter and the store.
#pragma once

#include <string_view>

#include "services/billing/documents/document.h"
#include "services/billing/documents/file_store.h"
#include "services/billing/typesetting/typesetter.h"

namespace allod::billing::documents {

class PdfDocuments {
 public:
  PdfDocuments(typesetting::Typesetter& typesetter, FileStore& files) : typesetter_(typesetter), files_(files) {}

  // What is kept; nothing: it was not asked for yet. INVALID_ARGUMENT / UNKNOWN_LANGUAGE.
  Result<std::optional<Document>> Find(const IssuedInvoice& invoice, std::string_view language);
  // Makes and keeps it. Costs seconds of a processor for thousands of lines. Errors of Render and of Typesetter.
  Result<Document> Make(const IssuedInvoice& invoice, std::string_view language);

 private:
  typesetting::Typesetter& typesetter_;
  FileStore& files_;
};

}  // namespace allod::billing::documents
