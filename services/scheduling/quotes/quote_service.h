// RPCs of QuoteService. Thread-safe; borrows what it is made with.
#pragma once

#include "allod/scheduling/v1/quote.grpc.pb.h"
#include "services/common/clock.h"
#include "services/common/rpc/call.h"
#include "services/scheduling/acceptor.h"
#include "services/scheduling/call_gates.h"
#include "services/scheduling/drivers/driver.h"
#include "services/scheduling/store.h"

namespace allod::scheduling::quotes {

class QuoteServiceImpl final : public v1::QuoteService::Service {
 public:
  QuoteServiceImpl(QuoteStore& quotes, Store& store, Acceptor& acceptor, drivers::Driver& driver,
                   const RegionBoard& regions, const Clock& clock, CallGates& gates)
      : quotes_(quotes),
        store_(store),
        acceptor_(acceptor),
        driver_(driver),
        regions_(regions),
        clock_(clock),
        gates_(gates) {}

  grpc::Status CreateQuote(grpc::ServerContext* context, const v1::CreateQuoteRequest* request,
                           v1::Quote* response) override;
  grpc::Status GetQuote(grpc::ServerContext* context, const v1::GetQuoteRequest* request, v1::Quote* response) override;
  grpc::Status ListQuotes(grpc::ServerContext* context, const v1::ListQuotesRequest* request,
                          v1::ListQuotesResponse* response) override;

 private:
  Result<Quote> Make(const Quote& asked);
  // Why it would not be placed now; empty: it would be.
  Result<std::string> Misfit(const Quote& quote, const Accepted& accepted);

  QuoteStore& quotes_;
  Store& store_;
  Acceptor& acceptor_;
  drivers::Driver& driver_;
  const RegionBoard& regions_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::scheduling::quotes
