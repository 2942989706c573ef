// How an invoice, a draft or a credit note is shown on a terminal. Pure.
#pragma once

#include <string>

#include "allod/billing/v1/invoice.pb.h"

namespace allod::cli::commands {

std::string ShowInvoice(const billing::v1::Invoice& invoice);

}  // namespace allod::cli::commands
