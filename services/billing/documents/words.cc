#include "services/billing/documents/words.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <string>

namespace allod::billing::documents {
namespace {

constexpr auto kLanguages = std::to_array<Words>({
    {.language = "ar",
     .direction = "rtl",
     .invoice = "فاتورة",
     .credit_note = "إشعار دائن",
     .number = "الرقم",
     .issued = "تاريخ الإصدار",
     .due = "تاريخ الاستحقاق",
     .period = "الفترة",
     .seller = "البائع",
     .buyer = "المشتري",
     .tax_id = "الرقم الضريبي",
     .registration = "رقم السجل",
     .reference = "المرجع",
     .corrects = "يصحح الفاتورة",
     .reason = "السبب",
     .line = "البند",
     .description = "الوصف",
     .prompt_tokens = "رموز الإدخال",
     .completion_tokens = "رموز الإخراج",
     .requests = "الطلبات",
     .tokens = "الرموز",
     .price_per_million = "السعر لكل مليون",
     .amount = "المبلغ",
     .net = "المجموع دون الضريبة",
     .tax = "الضريبة",
     .payable = "المبلغ المستحق",
     .credited = "المبلغ المعاد",
     .payment = "الدفع",
     .country = "البلد",
     .standard = "النسبة العادية",
     .zero_rated = "خاضع لنسبة الصفر",
     .exempt = "معفى",
     .reverse_charge = "احتساب عكسي",
     .exported = "تصدير",
     .out_of_scope = "خارج نطاق الضريبة",
     .instance_time = "وقت تشغيل المثيل",
     .storage = "التخزين",
     .free_allowance = "الحصة المجانية",
     .volume_tier = "خصم الكمية",
     .discount = "الخصم",
     .commitment_shortfall = "فرق الحد الأدنى الملتزم به",
     .rerating = "تصحيح السعر"},
    {.language = "en",
     .direction = "ltr",
     .invoice = "Invoice",
     .credit_note = "Credit note",
     .number = "Number",
     .issued = "Issued",
     .due = "Due",
     .period = "Period",
     .seller = "Seller",
     .buyer = "Buyer",
     .tax_id = "Tax id",
     .registration = "Registration",
     .reference = "Reference",
     .corrects = "Corrects invoice",
     .reason = "Reason",
     .line = "Line",
     .description = "Description",
     .prompt_tokens = "Prompt tokens",
     .completion_tokens = "Completion tokens",
     .requests = "Requests",
     .tokens = "Tokens",
     .price_per_million = "Price per million",
     .amount = "Amount",
     .net = "Total without tax",
     .tax = "Tax",
     .payable = "To pay",
     .credited = "Credited",
     .payment = "Payment",
     .country = "Country",
     .standard = "standard rate",
     .zero_rated = "zero rated",
     .exempt = "exempt",
     .reverse_charge = "reverse charge",
     .exported = "export",
     .out_of_scope = "out of scope",
     .instance_time = "Instance time",
     .storage = "Storage",
     .free_allowance = "Free allowance",
     .volume_tier = "Volume discount",
     .discount = "Discount",
     .commitment_shortfall = "Shortfall of the commitment",
     .rerating = "Corrected price"},
    {.language = "fr",
     .direction = "ltr",
     .invoice = "Facture",
     .credit_note = "Avoir",
     .number = "Numéro",
     .issued = "Date d’émission",
     .due = "Échéance",
     .period = "Période",
     .seller = "Vendeur",
     .buyer = "Acheteur",
     .tax_id = "Numéro de TVA",
     .registration = "Immatriculation",
     .reference = "Référence",
     .corrects = "Rectifie la facture",
     .reason = "Motif",
     .line = "Ligne",
     .description = "Désignation",
     .prompt_tokens = "Jetons d’entrée",
     .completion_tokens = "Jetons de sortie",
     .requests = "Requêtes",
     .tokens = "Jetons",
     .price_per_million = "Prix par million",
     .amount = "Montant",
     .net = "Total hors taxe",
     .tax = "Taxe",
     .payable = "Net à payer",
     .credited = "Montant crédité",
     .payment = "Paiement",
     .country = "Pays",
     .standard = "taux normal",
     .zero_rated = "taux zéro",
     .exempt = "exonéré",
     .reverse_charge = "autoliquidation",
     .exported = "exportation",
     .out_of_scope = "hors champ",
     .instance_time = "Temps d’instance",
     .storage = "Stockage",
     .free_allowance = "Quota gratuit",
     .volume_tier = "Remise sur volume",
     .discount = "Remise",
     .commitment_shortfall = "Complément d’engagement",
     .rerating = "Prix rectifié"},
    {.language = "sw",
     .direction = "ltr",
     .invoice = "Ankara",
     .credit_note = "Hati ya mkopo",
     .number = "Nambari",
     .issued = "Imetolewa",
     .due = "Tarehe ya mwisho ya malipo",
     .period = "Kipindi",
     .seller = "Muuzaji",
     .buyer = "Mnunuzi",
     .tax_id = "Nambari ya kodi",
     .registration = "Nambari ya usajili",
     .reference = "Rejeleo",
     .corrects = "Inasahihisha ankara",
     .reason = "Sababu",
     .line = "Mstari",
     .description = "Maelezo",
     .prompt_tokens = "Tokeni za kuingia",
     .completion_tokens = "Tokeni za kutoka",
     .requests = "Maombi",
     .tokens = "Tokeni",
     .price_per_million = "Bei kwa milioni",
     .amount = "Kiasi",
     .net = "Jumla bila kodi",
     .tax = "Kodi",
     .payable = "Kiasi cha kulipa",
     .credited = "Kiasi kilichorejeshwa",
     .payment = "Malipo",
     .country = "Nchi",
     .standard = "kiwango cha kawaida",
     .zero_rated = "kiwango sifuri",
     .exempt = "imesamehewa",
     .reverse_charge = "kodi hulipwa na mnunuzi",
     .exported = "mauzo ya nje",
     .out_of_scope = "nje ya wigo wa kodi",
     .instance_time = "Muda wa huduma",
     .storage = "Hifadhi",
     .free_allowance = "Kiasi cha bure",
     .volume_tier = "Punguzo la wingi",
     .discount = "Punguzo",
     .commitment_shortfall = "Pengo la ahadi ya matumizi",
     .rerating = "Bei iliyosahihishwa"},
});

}  // namespace

std::string_view WordOf(ChargeKind kind, const Words& words) {
  switch (kind) {
    case ChargeKind::kInstanceTime:
      return words.instance_time;
    case ChargeKind::kStorage:
      return words.storage;
    case ChargeKind::kFreeAllowance:
      return words.free_allowance;
    case ChargeKind::kVolumeTier:
      return words.volume_tier;
    case ChargeKind::kDiscount:
      return words.discount;
    case ChargeKind::kCommitmentShortfall:
      return words.commitment_shortfall;
    case ChargeKind::kRerating:
      return words.rerating;
  }
  std::abort();
}

Result<const Words*> WordsIn(std::string_view language) {
  if (language.empty()) language = "en";
  std::string known;
  for (const Words& words : kLanguages) {
    if (words.language == language) return &words;
    known += (known.empty() ? "" : ", ") + std::string(words.language);
  }
  return InvalidArgument("UNKNOWN_LANGUAGE",
                         fmt::format("language_code: '{}' is none of {}", language.substr(0, 32), known));
}

}  // namespace allod::billing::documents
