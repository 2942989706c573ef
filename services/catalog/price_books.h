// Where a listing's prices are kept for billing: the port to the billing service, and its gRPC implementation.
#pragma once

#include <memory>
#include <string>

#include "services/catalog/listing.h"

namespace allod::catalog {

class PriceBooks {
 public:
  virtual ~PriceBooks() = default;
  // Creates the listing's price book under listing.price_book; the same again succeeds. UNAVAILABLE while billing is
  // away.
  virtual Status Create(const Listing& listing) = 0;
};

// Calls PriceBookService at a gRPC target. Connects lazily. Blocks at most 3 s. Thread-safe.
class GrpcPriceBooks final : public PriceBooks {
 public:
  explicit GrpcPriceBooks(const std::string& target);
  ~GrpcPriceBooks() override;
  Status Create(const Listing& listing) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace allod::catalog
