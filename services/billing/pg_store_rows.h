// Rows of billing's tables as domain values. Included by the pg_store*.cc files only.
#pragma once

#include <chrono>
#include <pqxx/pqxx>
#include <string>

#include "services/billing/decide.h"
#include "services/billing/domain.h"

namespace allod::billing {

inline std::int64_t ToMicros(Time time) {
  return std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count();
}

// What the database holds and its own constraints forbid to be malformed; thrown so that PgPool::Run reports INTERNAL.
template <typename T>
T Sound(Result<T> value) {
  if (!value) throw std::runtime_error("malformed value in the database: " + value.error().message);
  return *std::move(value);
}

std::string OutcomeText(Outcome outcome);

// Reads the fields of one row from left to right, in the order of a column list.
class RowReader {
 public:
  explicit RowReader(const pqxx::row& row) : row_(row) {}

  std::string Text() { return row_[next_++].as<std::string>(); }
  Uuid Id() { return Sound(Uuid::Parse(row_[next_++].c_str())); }
  std::int64_t Int() { return row_[next_++].as<std::int64_t>(); }
  bool Bool() { return row_[next_++].as<bool>(); }
  Amount Pico() { return Sound(Amount::ParsePico(row_[next_++].c_str())); }
  std::int32_t Number() { return row_[next_++].as<std::int32_t>(); }
  Time Micros() { return Time(std::chrono::microseconds(Int())); }
  bool NextIsNull() const { return row_[next_].is_null(); }
  void Skip(int columns) { next_ += columns; }

 private:
  const pqxx::row& row_;
  int next_ = 0;
};

// Column lists for a row that goes by the name r, u or a, and their readers.
inline constexpr int kReservationColumnCount = 15;
inline constexpr std::string_view kReservationColumns =
    "(r).request_id, (r).instance, (r).variant, (r).price_book_id, (r).api_key, (r).prompt_tokens_max, "
    "(r).completion_tokens_max, (r).currency_code, (r).prompt_price, (r).completion_price, (r).hold, "
    "billing.to_micros((r).expire_time), (r).tenant_id, (r).isolation_class, (r).revision";
Reservation ReadReservation(RowReader& row);

inline constexpr std::string_view kUsageColumns =
    "(u).request_id, (u).instance, (u).variant, (u).price_book_id, (u).api_key, (u).outcome, (u).prompt_tokens, "
    "(u).completion_tokens, (u).currency_code, (u).prompt_price, (u).completion_price, (u).billed, (u).cost, "
    "billing.to_micros((u).admit_time), billing.to_micros((u).settle_time), (u).tenant_id, (u).isolation_class, "
    "(u).revision, (u).excess_prompt_tokens, (u).excess_completion_tokens";
UsageRecord ReadUsageRecord(RowReader& row);

// With the receivable ledger account as l.
inline constexpr int kAccountColumnCount = 6;
inline constexpr std::string_view kAccountColumns =
    "(a).tenant_id, (a).tenant_name, (a).currency_code, (a).credit_limit, -(l).posted, (l).held";
BillingAccount ReadAccount(RowReader& row);

}  // namespace allod::billing
