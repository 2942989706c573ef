// An issued invoice or credit note as a sheet for a typesetter: what MakeHtml says, in the same words and figures.
#pragma once

#include "services/billing/documents/words.h"
#include "services/billing/invoice.h"
#include "services/billing/typesetting/sheet.h"

namespace allod::billing::documents {

// OUT_OF_RANGE when the lines add up beyond what an Amount holds.
Result<typesetting::Sheet> SheetOf(const IssuedInvoice& invoice, int decimals, const Words& words);

}  // namespace allod::billing::documents
