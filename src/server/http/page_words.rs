//! The words around a conversation on the agent's page, in the languages that assistants speak.
//!
//! Invariant: every language has every word; a language that is not here is English, and says so in its tag.

/// The words of one language.
#[derive(Debug)]
pub(super) struct Words {
    /// Its BCP 47 tag.
    pub(super) tag: &'static str,
    pub(super) caller: &'static str,
    /// The caller, by keys.
    pub(super) keys: &'static str,
    pub(super) assistant: &'static str,
    pub(super) note: &'static str,
    /// Above the reason for the hand-over.
    pub(super) why: &'static str,
    pub(super) no_reason: &'static str,
    /// Above `custom_data`.
    pub(super) known: &'static str,
    pub(super) interrupted: &'static str,
    pub(super) nothing: &'static str,
}

impl Words {
    /// The words for a tenant's language, by its primary subtag.
    pub(super) fn of(language: &str) -> &'static Self {
        let primary = language.split(['-', '_']).next().unwrap_or_default();
        ALL.iter().find(|words| words.tag.eq_ignore_ascii_case(primary)).unwrap_or(&ALL[0])
    }

    /// Which way the page is written.
    pub(super) fn direction(&self) -> &'static str {
        if self.tag == "ar" { "rtl" } else { "ltr" }
    }
}

macro_rules! words {
    ($($tag:literal: $caller:literal, $keys:literal, $assistant:literal, $note:literal, $why:literal, $no_reason:literal,
        $known:literal, $interrupted:literal, $nothing:literal;)+) => {
        const ALL: &[Words] = &[$(Words {
            tag: $tag, caller: $caller, keys: $keys, assistant: $assistant, note: $note, why: $why, no_reason: $no_reason,
            known: $known, interrupted: $interrupted, nothing: $nothing,
        }),+];
    };
}

words! {
    "en": "Caller", "Caller (keys)", "Assistant", "Note", "Why the caller was handed over",
        "The assistant gave no reason.", "What the assistant passes on", "interrupted by the caller", "Nothing was said.";
    "de": "Anrufer", "Anrufer (Tasten)", "Assistent", "Notiz", "Warum der Anruf übergeben wurde",
        "Der Assistent hat keinen Grund genannt.", "Was der Assistent mitgibt", "vom Anrufer unterbrochen",
        "Es wurde nichts gesagt.";
    "fr": "Appelant", "Appelant (touches)", "Assistant", "Note", "Pourquoi l’appel a été transféré",
        "L’assistant n’a pas donné de raison.", "Ce que l’assistant transmet", "interrompu par l’appelant",
        "Rien n’a été dit.";
    "es": "Cliente", "Cliente (teclas)", "Asistente", "Nota", "Por qué se transfirió la llamada",
        "El asistente no dio ningún motivo.", "Lo que transmite el asistente", "interrumpido por el cliente",
        "No se dijo nada.";
    "it": "Chiamante", "Chiamante (tasti)", "Assistente", "Nota", "Perché la chiamata è stata trasferita",
        "L’assistente non ha indicato un motivo.", "Che cosa trasmette l’assistente", "interrotto dal chiamante",
        "Non è stato detto nulla.";
    "pt": "Cliente", "Cliente (teclas)", "Assistente", "Nota", "Por que a chamada foi transferida",
        "O assistente não indicou um motivo.", "O que o assistente transmite", "interrompido pelo cliente",
        "Nada foi dito.";
    "nl": "Beller", "Beller (toetsen)", "Assistent", "Notitie", "Waarom het gesprek is doorverbonden",
        "De assistent gaf geen reden.", "Wat de assistent meegeeft", "onderbroken door de beller", "Er is niets gezegd.";
    "cs": "Volající", "Volající (tlačítka)", "Asistent", "Poznámka", "Proč byl hovor předán",
        "Asistent neuvedl důvod.", "Co asistent předává", "přerušeno volajícím", "Nic nebylo řečeno.";
    "ja": "発信者", "発信者（キー）", "アシスタント", "メモ", "転送の理由",
        "理由は示されていません。", "アシスタントからの引き継ぎ情報", "発信者による中断", "会話はありません。";
    "ko": "발신자", "발신자(키)", "어시스턴트", "메모", "상담원에게 연결된 이유",
        "이유가 제공되지 않았습니다.", "어시스턴트가 전달한 정보", "발신자가 중단함", "대화가 없습니다.";
    "zh": "来电者", "来电者（按键）", "助手", "备注", "转接原因",
        "助手未说明原因。", "助手传递的信息", "被来电者打断", "没有对话。";
    "ar": "المتصل", "المتصل (المفاتيح)", "المساعد", "ملاحظة", "سبب تحويل المكالمة",
        "لم يذكر المساعد سببًا.", "ما ينقله المساعد", "قاطعه المتصل", "لم يُقَل شيء.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_found_by_its_primary_subtag_and_english_serves_for_the_rest() {
        for (language, tag) in
            [("de-DE", "de"), ("PT-br", "pt"), ("ar", "ar"), ("en-GB", "en"), ("tlh", "en"), ("", "en")]
        {
            assert_eq!(Words::of(language).tag, tag, "{language}");
        }
        assert_eq!((Words::of("ar-EG").direction(), Words::of("fr").direction()), ("rtl", "ltr"));
    }
}
