"""Function words of the languages we recognise: they are dropped from queries and tell languages apart.

One line per language (ISO 639-1), the commonest first. Written for this purpose; the lists are short on purpose,
since BM25 already discounts common words and a word wrongly dropped can never be found.
"""

from __future__ import annotations

_LISTS = {
    "en": """the of and to a in is that for it as was with be by on not he his but at are this have from or had an
        they which you were all her she there would their we him been has when who will more if no out do so can what up
        said about other into than its then only could these two may any some such should after also most over where did
        does how why being those through between both during each our own same too very i me my your us them am because
        while whom whose cannot until against before above below under again further once here just nor yourself
        himself herself itself themselves ourselves doing having""",
    "de": """der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er
        hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor zur bis
        mehr durch man sein wurde sei ihr ihre ihren ihrer ihrem seine seiner seinen seinem wenn können kann doch wir
        ich unter gegen vom schon sehr da was wer wo wann warum welche welcher welches welchen welchem wurden worden
        ihm ihn uns euch mich dich mir dir du dies diese dieser dieses diesen diesem jede jeder jedes eines hatte hatten
        waren wäre würde muss soll sollte will wollen dann denn weil ob ohne zwischen während damit dabei daher dort
        hier nun beim ins habe hast bin bist seid gibt sowie bzw also man etwa wieso weshalb wodurch womit wofür""",
    "fr": """de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont avec son aux
        ou cette ont mais été être nous comme elle leur fait ses sa ces leurs si était deux même on peut vous ils tout
        je tu lui moi toi mon ma mes ton ta tes notre nos votre vos y où quand comment pourquoi quel quelle quels
        quelles dont sans sous entre vers chez donc ni car très aussi ainsi cela ça avait avoir ai as avons avez étaient
        sera seront fut furent celui celle ceux celles depuis pendant après avant contre encore""",
    "es": """de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha me si sin
        sobre este ya entre cuando todo esta ser son dos también fue había era muy años hasta desde está mi porque qué
        sólo han yo hay vez puede todos así nos ni parte tiene él uno donde bien tiempo mismo ese ahora cada e vida otro
        después te otros aunque esa eso hace otra gobierno tan durante siempre día tanto ella tres sí dijo sido cuál
        cómo dónde quién cuándo cuáles quiénes les estos estas esos esas nuestro nuestra fueron eran están""",
    "it": """di e il la che in a per un è del non sono una con le della i si da al dei nel come più alla lo ha anche ma
        delle gli o dal ed ai se questo suo sua suoi sue loro nella essere dalla su degli alle era due ne ci cui stato
        stata stati chi cosa quale quali quando dove perché mi ti vi io tu lui lei noi voi fu hanno aveva sul sulla
        sulle dello dai dalle nei nelle negli questa questi queste quello quella quelli tra fra dopo prima senza sotto
        anni fino così molto ancora ogni erano furono""",
    "pt": """de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu
        sua ou ser quando muito há nos já está eu também só pelo pela até isso ela entre era depois sem mesmo aos ter
        seus quem nas me esse eles estão você tinha foram essa num nem suas meu às minha têm numa pelos elas havia seja
        qual será nós tenho lhe deles essas esses pelas este dele onde sobre são foi eram quais porque""",
    "nl": """de van het een en in is dat op te zijn met voor niet die aan er om ook als dan maar bij of uit nog door
        naar heeft hij ze wordt tot je worden was werd over wat hun geen hebben al zich deze dit kan meer zo ik we wij
        jij u haar hem hoe waar wie wanneer waarom welke onder tussen tegen na zou zal kunnen moet moeten had hadden
        waren werden veel toen omdat zonder mijn""",
    "sv": """och i att det som en på är av för med till den har de inte om ett han men var jag sig från vi så kan när
        där vid under eller efter också hade han hon sin sina sitt mot detta då upp dem nu ska skulle bara över utan
        mycket vad vem vilka vilken vilket hur varför man blev blir finns mellan genom deras dess denna dessa här än""",
    "da": """og i at det er en til på af for med den de ikke som der har et han var jeg sig fra vi kan når men om ved
        under eller efter også havde hun sin sine sit mod dette da op dem nu skal skulle over uden meget hvad hvem
        hvilke hvilken hvor hvorfor man blev bliver findes mellem gennem deres denne disse her end blive været""",
    "no": """og i det på som er en til å av for at med den de ikke har et han var jeg seg fra vi kan når men om ved
        under eller etter også hadde hun sin sine sitt mot dette da opp dem nå skal skulle over uten mye hva hvem
        hvilke hvilken hvor hvorfor man ble blir finnes mellom gjennom deres denne disse her enn bli vært""",
    "fi": """ja on ei että se oli hän ovat mutta tai kun myös joka sen jos niin kuin ole mukaan vain hänen jotka jonka
        sekä olla ollut mitä mikä missä kuka miten miksi milloin ne nämä tämä tämän tässä siitä sitä jossa josta
        johon kanssa vuonna jälkeen ennen välillä noin enemmän sitten vielä nyt minä sinä me te he ovatko onko""",
    "hu": """a az és hogy nem is egy ez de van volt meg csak már ki mi mint el ha azt még vagy ezt lehet volna kell
        után között által valamint illetve amely amelyek aki akik ami hol mikor miért hogyan melyik milyen szerint""",
    "ro": """de și în a la cu pe care nu din este un o că se mai au pentru să prin sau fost fi dar ca lui sunt le ce
        al ale ai după între cum când unde cine lor ei el ea acest această aceste acestea cel cea cele era erau fără""",
    "pl": """w i na z się nie do to że jest o jak a po za od przez dla są był była było były który która które których
        oraz ale czy tym tego jego jej ich może przy co kto gdzie kiedy dlaczego jako tylko także lub pod nad między""",
    "cs": """a v se na je že s z do o to jako i za by ale pro po jsou který která které jeho byl byla bylo byly nebo od
        při také co kdo kde kdy proč jak již až podle mezi ve k ke aby není jsme této tento tato toto""",
    "tr": """ve bir bu da de için ile olarak çok daha ne gibi var en olan ama kadar sonra ki mi mı o her ya değil nasıl
        neden kim nerede hangi ise veya tarafından olduğu oldu olduğunu göre arasında şu biz siz ben sen""",
    "ca": """de la i el que a en els les un una per amb del no és es al com més o però seu seva són va ser han aquest
        aquesta entre quan on qui què dels als pel pels ha fou també sobre fins des molt""",
    "id": """yang dan di dari dengan untuk pada ini itu dalam adalah tidak akan ke oleh juga sebagai karena atau ada
        mereka telah bisa dapat saya kita kami apa siapa kapan mengapa bagaimana dimana seperti lebih""",
    "et": """ja on ei et see oli ta kui ka ning oma mis kes kus millal miks kuidas või selle seda nad olid aga siis
        pärast enne vahel tema nende""",
    "lt": """ir yra kad į su iš ne tai buvo kaip apie bet dėl jo jos jie kuris kuri kurie už po prie ar kas kur kada
        kodėl taip pat nuo iki""",
    "sq": """të e në i dhe një për me nga që është së më si do ka nuk janë ai ajo u por ose kjo ky këto këta tij saj
        tyre kur ku pse kush cili cila çfarë edhe mund duhet pas para ndërmjet gjatë deri nëse ishte ishin qenë jetë
        shumë vetëm tek te prej kështu unë ju ne ata""",
    "ru": """и в не на что с он а как это по но они к у ты из мы за вы так же от его её до для или при о был была было
        были быть который которая которые которых если уже ещё когда где кто чем какой какая какие почему есть также
        только после между этот эта эти этого того их ей ему во со об между над под без через является""",
    "uk": """і в не на що з він а як це по але вони до у ти із ми за ви так же від його її для або при про був була
        було були який яка які якщо вже ще коли де хто чому є також тільки після між цей ця ці та й""",
    "bg": """и в не на че с той а как това по но те към у ти от ние за вие така до или при беше бяха са е който която
        които ако вече още когато къде кой защо също само след между този тази тези се ще да си""",
    "sr": """и у не на да се је са а као то по али они од за или до при био била било били су који која које ако већ
        још када где ко зашто такође само после између овај ова ови i u je na da se za od su koji koja koje kao ili""",
    "el": """και το να του η της με που την από για τα είναι των σε ο οι στο θα τη στην τον δεν τους ένα μια ως στη
        τις αυτό αλλά ή έχει κατά μετά πριν πώς πού πότε γιατί ποιος ποια ποιο ήταν στα στις στον στους""",
    "ar": """في من على أن إلى التي الذي عن مع هذا هذه كان ما لا كما أو بين بعد قبل ذلك كانت هو هي قد كل لم إن ثم متى
        أين كيف لماذا هل وقد عند حيث""",
    "fa": """و در به از که این را با است برای آن یک خود تا بر هم نیز شد شده می ها یا اما چه کجا چرا چگونه بود""",
    "he": """של את על לא הוא היא עם זה כי גם אל או אם היה הם כל בין אשר מה מי איפה מתי למה איך יש""",
    "hi": """के में की है से का को और पर यह ने एक कि भी था इस लिए हैं नहीं तो कर थे थी क्या कौन कहाँ कब क्यों कैसे""",
}

STOP_WORDS: dict[str, frozenset[str]] = {
    language: frozenset(words.split()) for language, words in _LISTS.items()
}
